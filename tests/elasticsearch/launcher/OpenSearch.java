package skidder;

import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.index.mapper.MapperExtrasPlugin;
import org.opensearch.index.reindex.ReindexPlugin;
import org.opensearch.ingest.common.IngestCommonPlugin;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.painless.PainlessPlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.transport.Netty4Plugin;

/** Starts OpenSearch from the jars of Maven Central. Arguments are settings, `name=value`. */
public final class OpenSearch extends Node {
    private static final List<Class<? extends Plugin>> PLUGINS = List.of(
            Netty4Plugin.class,
            ReindexPlugin.class,
            MapperExtrasPlugin.class,
            IngestCommonPlugin.class,
            PainlessPlugin.class);

    private OpenSearch(Environment environment) {
        super(environment, PLUGINS, false);
    }

    public static void main(String[] arguments) throws Exception {
        Settings.Builder builder = Settings.builder();
        for (String argument : arguments) {
            String[] setting = argument.split("=", 2);
            builder.put(setting[0], setting[1]);
        }
        Settings settings = builder.build();
        LogConfigurator.configureWithoutConfig(settings);
        Node node = new OpenSearch(
                InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "test"));
        node.start();
        Lifeline.hold(() -> {
            node.close();
            node.awaitClose(10, TimeUnit.SECONDS);
        });
    }
}
