package skidder;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

/** Ends the server with its starter: at a signal, or when standard input ends because whoever held it is gone. */
final class Lifeline {
    /** Closes something that may fail to. */
    interface Close {
        void close() throws Exception;
    }

    /** Waits for the end; the server's own threads do not keep the process alive. */
    static void hold(Close server) {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                server.close();
                if (System.getProperty("skidder.remove") != null) {
                    remove(Path.of(System.getProperty("skidder.remove")));
                }
            } catch (Exception error) {
                error.printStackTrace();
            }
        }));
        try {
            while (System.in.read() >= 0) {}
        } catch (IOException gone) {
            // As good as its end.
        }
        System.exit(0);
    }

    private static void remove(Path folder) throws IOException {
        try (Stream<Path> within = Files.walk(folder)) {
            for (Path path : within.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(path);
            }
        }
    }
}
