# SPDX-License-Identifier: Apache-2.0
"""Writes a file's bytes as a C array: embed.py INPUT OUTPUT NAME."""
import sys

source, target, name = sys.argv[1:]
data = open(source, 'rb').read()
with open(target, 'w') as out:
    out.write('/* made by embed.py */\n#include <stddef.h>\n#include <stdint.h>\n\n')
    out.write(f'extern const uint8_t {name}[];\nextern const size_t {name}_len;\n')
    out.write(f'const uint8_t {name}[] __attribute__((aligned(8))) = {{\n')
    for i in range(0, len(data), 16):
        out.write('\t' + ', '.join(f'0x{b:02x}' for b in data[i:i + 16]) + ',\n')
    out.write(f'}};\nconst size_t {name}_len = sizeof({name});\n')
