// SPDX-License-Identifier: Apache-2.0

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs the main methods of Apache Kafka's own tools one after the other in one process, since most
 * of a tool's time is the start of its JVM. A request is a line of JSON on stdin, {"class", "args",
 * "stdin"}; the answer a line on stdout, {"exit", "out", "err"}. The tools leave through Kafka's
 * own Exit class, which is made for being replaced in tests. With {"until", "times"} the answer
 * waits, for ten seconds at most, until the output has that text so often: for a tool that would
 * see to its last answers in a hook of the JVM's end.
 */
public final class ToolServer {
    /** An Error, since some tools catch every Exception; some catch and print this one too. */
    private static final class Left extends Error {
        private static final long serialVersionUID = 1L;

        private Left() {
            super("", null, false, false);
        }

        @Override
        public String toString() {
            return "";
        }
    }

    /** The code of the first exit; what a tool does after it would not have happened. */
    private static Integer left;

    private static void leave(int code) {
        if (left == null) {
            left = code;
        }
        throw new Left();
    }

    /** A stream whose target changes from tool to tool, since some classes keep System.out for good. */
    private static final class Switch extends OutputStream {
        private ByteArrayOutputStream target = new ByteArrayOutputStream();

        @Override
        public synchronized void write(int b) {
            target.write(b);
        }

        @Override
        public synchronized void write(byte[] b, int off, int len) {
            target.write(b, off, len);
        }

        private void await(String text, int times) throws InterruptedException {
            for (int i = 0; i < 1000 && count(text) < times; i++) {
                Thread.sleep(10);
            }
        }

        private synchronized int count(String text) {
            return target.toString(StandardCharsets.UTF_8).split(text, -1).length - 1;
        }

        private synchronized String take() {
            String text = target.toString(StandardCharsets.UTF_8);
            target = new ByteArrayOutputStream();
            return text;
        }
    }

    private static int call(String name, List<String> args) {
        left = null;
        try {
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) args.toArray(new String[0]));
        } catch (InvocationTargetException e) {
            if (left == null) {
                e.getCause().printStackTrace();
                return 1;
            }
        } catch (ReflectiveOperationException e) {
            e.printStackTrace();
            return 127;
        }
        return left == null ? 0 : left;
    }

    public static void main(String[] unused) throws Exception {
        PrintStream answers = System.out;
        InputStream requests = System.in;
        Switch out = new Switch();
        Switch err = new Switch();
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        Exit.setExitProcedure((code, message) -> leave(code));
        Exit.setHaltProcedure((code, message) -> leave(code));
        List<Runnable> hooks = new ArrayList<>();
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        ObjectMapper json = new ObjectMapper();
        BufferedReader lines = new BufferedReader(new InputStreamReader(requests, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode request = json.readTree(line);
            List<String> args = new ArrayList<>();
            request.get("args").forEach(a -> args.add(a.asText()));
            System.setIn(new ByteArrayInputStream(request.path("stdin").asText("").getBytes(StandardCharsets.UTF_8)));
            int code = call(request.get("class").asText(), args);
            if (request.has("until")) {
                out.await(request.get("until").asText(), request.get("times").asInt());
            }
            hooks.forEach(Runnable::run);
            hooks.clear();
            System.out.flush();
            System.err.flush();
            ObjectNode answer = json.createObjectNode();
            answer.put("exit", code).put("out", out.take()).put("err", err.take());
            answers.println(json.writeValueAsString(answer));
            answers.flush();
        }
        Runtime.getRuntime().halt(0);
    }
}
