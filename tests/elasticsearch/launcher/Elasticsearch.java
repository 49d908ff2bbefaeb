package skidder;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.KeyStoreWrapper;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * Starts Elasticsearch from the jars of Maven Central, past the usual main class and so past its bootstrap checks
 * and its refusal to run as root. Arguments are settings, `name=value`; {@link #SECURE} goes to
 * the keystore.
 */
public final class Elasticsearch {
    private static final String SECURE = "bootstrap.password";

    public static void main(String[] arguments) throws Exception {
        Settings.Builder builder = Settings.builder();
        KeyStoreWrapper secrets = KeyStoreWrapper.create();
        for (String argument : arguments) {
            String[] setting = argument.split("=", 2);
            if (setting[0].equals(SECURE)) {
                secrets.setString(setting[0], setting[1].toCharArray());
            } else {
                builder.put(setting[0], setting[1]);
            }
        }
        Settings plain = builder.build();
        LogConfigurator.configureESLogging();
        LogConfigurator.configureWithoutConfig(plain);
        Path configuration = Path.of(plain.get("path.data")).resolveSibling("config");
        Files.createDirectories(configuration);
        Environment environment = InternalSettingsPreparer.prepareEnvironment(
                Settings.builder().put(plain).setSecureSettings(secrets).build(), Map.of(), configuration, () -> "test");
        // The last argument: plugins are plain class loaders, not modules, for the server itself is on a class path.
        PluginsLoader plugins = PluginsLoader.createPluginsLoader(
                Release.modules(environment), Set.of(), Map.of(), false);
        Node node = new Node(environment, plugins);
        node.start();
        Lifeline.hold(() -> {
            node.close();
            node.awaitClose(10, TimeUnit.SECONDS);
        });
    }
}
