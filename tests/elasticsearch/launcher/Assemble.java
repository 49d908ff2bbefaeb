package skidder;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Lays fetched jars out as Elasticsearch wants them: a jar that describes itself as a plugin becomes a folder of
 * {@code modules/} with its descriptor, every other goes to {@code lib/}. The compiled
 * launcher becomes one more jar there, compiled stand-ins one more module.
 */
public final class Assemble {
    private static final String DESCRIPTOR = "plugin-descriptor.properties";

    public static void main(String[] arguments) throws IOException {
        Path home = Path.of(arguments[0]);
        for (Path jar : files(home.resolve("jars"), ".jar")) {
            place(jar, home);
        }
        pack(home.resolve("launcher"), home.resolve("lib/launcher.jar"));
        if (arguments.length > 1) {
            Path folder = Files.createDirectories(home.resolve("modules/standins"));
            String descriptor = Files.readString(Path.of(arguments[1])).replace("@version@", arguments[2]);
            Files.writeString(folder.resolve(DESCRIPTOR), descriptor);
            pack(home.resolve("standins"), folder.resolve("standins.jar"));
        }
    }

    private static void place(Path jar, Path home) throws IOException {
        Path folder = home.resolve("lib");
        try (JarFile content = new JarFile(jar.toFile())) {
            JarEntry descriptor = content.stream()
                    .filter(entry -> entry.getName().matches("META-INF/es-plugins/[^/]+/" + DESCRIPTOR))
                    .findFirst()
                    .orElse(null);
            if (descriptor != null) {
                folder = home.resolve("modules").resolve(Path.of(descriptor.getName()).getName(2));
                // Without a module's name the plugin is loaded from a class path, as the server itself is.
                String text = new String(content.getInputStream(descriptor).readAllBytes(), StandardCharsets.UTF_8)
                        .replaceAll("(?m)^modulename=.*$", "");
                Files.createDirectories(folder);
                Files.writeString(folder.resolve(DESCRIPTOR), text);
            }
        }
        Files.createDirectories(folder);
        Files.move(jar, folder.resolve(jar.getFileName()));
    }

    private static void pack(Path classes, Path jar) throws IOException {
        try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(jar))) {
            for (Path file : files(classes, ".class")) {
                out.putNextEntry(new ZipEntry(classes.relativize(file).toString()));
                Files.copy(file, out);
            }
        }
    }

    private static List<Path> files(Path folder, String ending) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(file -> file.toString().endsWith(ending)).collect(Collectors.toList());
        }
    }
}
