import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

/** One OpenSearch node on loopback, without its distribution: arguments HOME and HTTP port. */
public final class OpenSearch {
  private static final class Server extends Node {
    Server(Environment environment) {
      super(environment, List.of(Netty4Plugin.class), false);
    }
  }

  public static void main(String[] arguments) throws Exception {
    Settings settings =
        Settings.builder()
            .put("path.home", arguments[0])
            .put("node.name", "test")
            .put("network.host", "127.0.0.1")
            .put("discovery.type", "single-node")
            .put("http.port", arguments[1])
            .put("transport.port", "0")
            .putList("path.repo", Path.of(arguments[0], "snapshots").toString())
            .build();
    Path configuration = Path.of(arguments[0], "config");
    Node node =
        new Server(
            InternalSettingsPreparer.prepareEnvironment(
                settings, Map.of(), configuration, () -> "test"));
    CountDownLatch ended = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  try {
                    node.close();
                  } catch (java.io.IOException error) {
                    throw new java.io.UncheckedIOException(error);
                  } finally {
                    ended.countDown();
                  }
                }));
    node.start();
    ended.await();
  }
}
