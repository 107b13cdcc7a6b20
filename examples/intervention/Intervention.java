import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Acts on risk results as an intervention engine must: once for each order and event version, the highest version wins.
 *
 * <p>Its tables are an outbox: what carries the actions out reads them there. See rule.sql, and docs/consuming-results.md.
 *
 * <pre>
 * mvn -q dependency:copy-dependencies -DoutputDirectory=libs
 * KAFKA_BROKERS=127.0.0.1:9092 SCHEMA_REGISTRY_URL=http://127.0.0.1:8081 \
 *   java -cp 'libs/*' intervention/Intervention.java [DB [TOPIC [GROUP [EXIT-WHEN-IDLE-SECONDS]]]]
 * </pre>
 */
public class Intervention {
    record Result(String orderId, long eventVersion, String predictionId, String modelVersion, String riskBand, double riskScore) {}

    private static final ObjectMapper JSON = new ObjectMapper();
    private final HttpClient http = HttpClient.newHttpClient();
    private final Map<Integer, GenericDatumReader<GenericRecord>> readers = new HashMap<>();

    public static void main(String[] args) throws Exception {
        String file = args.length > 0 ? args[0] : "interventions.db";
        String topic = args.length > 1 ? args[1] : "risk-results";
        String group = args.length > 2 ? args[2] : "intervention-engine";
        double idle = args.length > 3 ? Double.parseDouble(args[3]) : 0;
        try (Connection db = DriverManager.getConnection("jdbc:sqlite:" + file)) {
            new Intervention().run(db, topic, group, idle);
        }
    }

    private void run(Connection db, String topic, String group, double idle) throws Exception {
        String[] rule = Files.readString(Path.of(System.getProperty("rule", "intervention/rule.sql"))).split(";\n");
        try (var tables = db.createStatement()) {
            tables.execute(rule[0]);
            tables.execute(rule[1]);
        }
        db.setAutoCommit(false);
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", System.getenv("KAFKA_BROKERS"), "group.id", group, "auto.offset.reset", "earliest",
            "isolation.level", "read_committed", "session.timeout.ms", 10_000, "max.poll.records", 200,
            "enable.auto.commit", false); // an offset is committed once its transaction is
        var deserializer = new ByteArrayDeserializer();
        var ended = new CountDownLatch(1);
        try (var consumer = new KafkaConsumer<>(settings, deserializer, deserializer);
             PreparedStatement record = db.prepareStatement(rule[2]);
             PreparedStatement act = db.prepareStatement(rule[3])) {
            Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                consumer.wakeup();
                try {
                    ended.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            }));
            consumer.subscribe(List.of(topic));
            for (long last = System.nanoTime(); idle == 0 || System.nanoTime() - last < idle * 1e9; ) {
                var records = consumer.poll(Duration.ofMillis(500));
                if (records.isEmpty()) {
                    continue;
                }
                last = System.nanoTime();
                int acted = 0;
                for (var message : records) {
                    Result r = decode(message.value());
                    bind(record, r, true).executeUpdate();
                    acted += bind(act, r, false).executeUpdate();
                }
                db.commit();
                consumer.commitSync();
                System.out.printf("%d results, acted on %d%n", records.count(), acted);
            }
        } catch (WakeupException e) {
            // The process was asked to end.
        } finally {
            ended.countDown();
        }
    }

    private static PreparedStatement bind(PreparedStatement statement, Result r, boolean score) throws Exception {
        statement.setString(1, r.orderId());
        statement.setLong(2, r.eventVersion());
        statement.setString(3, r.predictionId());
        statement.setString(4, r.modelVersion());
        statement.setString(5, r.riskBand());
        if (score) {
            statement.setDouble(6, r.riskScore());
        }
        return statement;
    }

    /** Reads a result, in Avro with Confluent framing or in JSON. */
    private Result decode(byte[] value) throws Exception {
        if (value.length > 0 && value[0] == '{') {
            JsonNode json = JSON.readTree(value);
            return new Result(json.get("order_id").asText(), json.get("event_version").asLong(), json.get("prediction_id").asText(),
                json.get("model_version").asText(), json.get("risk_band").asText(), json.get("risk_score").asDouble());
        }
        if (value.length < 5 || value[0] != 0) {
            throw new IllegalArgumentException("neither JSON nor Avro with Confluent framing");
        }
        int id = ByteBuffer.wrap(value, 1, 4).getInt();
        if (!readers.containsKey(id)) {
            readers.put(id, new GenericDatumReader<>(schema(id)));
        }
        GenericRecord avro = readers.get(id).read(null, DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, null));
        return new Result(avro.get("order_id").toString(), (Long) avro.get("event_version"), avro.get("prediction_id").toString(),
            avro.get("model_version").toString(), avro.get("risk_band").toString(), (Double) avro.get("risk_score"));
    }

    private Schema schema(int id) throws Exception {
        var url = URI.create(System.getenv("SCHEMA_REGISTRY_URL") + "/schemas/ids/" + id);
        var answer = http.send(HttpRequest.newBuilder(url).timeout(Duration.ofSeconds(10)).build(), BodyHandlers.ofString(StandardCharsets.UTF_8));
        if (answer.statusCode() != 200) {
            throw new IllegalStateException("schema " + id + ": " + answer.statusCode() + " " + answer.body());
        }
        return new Schema.Parser().parse(JSON.readTree(answer.body()).get("schema").asText());
    }
}
