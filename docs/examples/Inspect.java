import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The decision of one picture with the JDK alone: java Inspect.java photo.jpg http://gateway:8000 */
public final class Inspect {
    private static final Pattern DECISION = Pattern.compile("\"decision\":\"(normal|anomalous)\"");

    public static void main(String[] arguments) throws Exception {
        HttpRequest request = HttpRequest.newBuilder()
                .uri(URI.create(arguments[1] + "/v1/inspect?line=press-3"))
                .header("Authorization", "Bearer " + System.getenv().getOrDefault("ONEGAUGE_API_KEY", "none"))
                .header("Content-Type", "image/jpeg")
                .timeout(Duration.ofSeconds(10))
                .POST(BodyPublishers.ofFile(Path.of(arguments[0])))
                .build();
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        HttpResponse<String> answer = client.send(request, BodyHandlers.ofString());
        Matcher decision = DECISION.matcher(answer.body());
        if (answer.statusCode() != 200 || !decision.find()) {
            System.err.println(answer.body());
            System.exit(3);
        }
        System.out.println(decision.group(1));
    }
}
