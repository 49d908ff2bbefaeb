package skidder.standins;

import java.util.List;
import org.elasticsearch.Build;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;

/** {@code GET /}: which server and version this is. */
final class Root implements RestHandler {
    private static final String ANSWER = """
            {"name":"%s","cluster_name":"%s",\
            "version":{"number":"%s","build_flavor":"default"},\
            "tagline":"You Know, for Search"}
            """;

    @Override
    public List<Route> routes() {
        return List.of(new Route(RestRequest.Method.GET, "/"));
    }

    @Override
    public void handleRequest(RestRequest request, RestChannel channel, NodeClient client) {
        String body = ANSWER.formatted(
                client.settings().get("node.name"), client.settings().get("cluster.name"), Build.current().version());
        channel.sendResponse(new RestResponse(RestStatus.OK, "application/json", body));
    }
}
