package skidder;

import java.util.Set;
import org.elasticsearch.env.Environment;
import org.elasticsearch.plugins.PluginBundle;
import org.elasticsearch.plugins.PluginsLoader;

/** What is called otherwise in Elasticsearch 9 than in 8. */
final class Release {
    static Set<PluginBundle> modules(Environment environment) {
        return PluginsLoader.loadModulesBundles(environment.modulesDir(), false);
    }
}
