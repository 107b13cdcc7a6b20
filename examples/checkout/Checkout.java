import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Publishes orders as the checkout pipeline does: keyed by order_id and acknowledged by all replicas, which are the
 * producer's defaults. It reads them from standard input, one JSON object a line: the body that POST /score takes, with
 * event_version and occurred_at.
 *
 * <pre>
 * mvn -q dependency:copy-dependencies -DoutputDirectory=libs
 * KAFKA_BROKERS=127.0.0.1:9092 SCHEMA_REGISTRY_URL=http://127.0.0.1:8081 \
 *   java -cp 'libs/*' checkout/Checkout.java [avro|json [TOPIC]] &lt; checkout/orders.jsonl
 * </pre>
 */
public class Checkout {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        boolean avro = args.length == 0 || args[0].equals("avro");
        String topic = args.length > 1 ? args[1] : "order-features";
        int schemaId = 0;
        Schema schema = null;
        if (avro) {
            JsonNode latest = latest(topic + "-value");
            schemaId = latest.get("id").asInt();
            schema = new Schema.Parser().parse(latest.get("schema").asText());
        }
        Map<String, Object> settings = Map.of("bootstrap.servers", System.getenv("KAFKA_BROKERS"));
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer());
             var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line; (line = lines.readLine()) != null; ) {
                ObjectNode order = (ObjectNode) JSON.readTree(line);
                byte[] value = avro ? encode(order, schemaId, schema) : line.getBytes(StandardCharsets.UTF_8);
                sent.add(producer.send(new ProducerRecord<>(topic, order.get("order_id").asText(), value)));
            }
        }
        for (var one : sent) {
            one.get(); // throws what was not acknowledged
        }
        System.out.printf("%d orders published%n", sent.size());
    }

    private static JsonNode latest(String subject) throws Exception {
        var url = URI.create(System.getenv("SCHEMA_REGISTRY_URL") + "/subjects/" + subject + "/versions/latest");
        var request = HttpRequest.newBuilder(url).timeout(Duration.ofSeconds(10)).build();
        var answer = HttpClient.newHttpClient().send(request, BodyHandlers.ofString(StandardCharsets.UTF_8));
        if (answer.statusCode() != 200) {
            throw new IllegalStateException(subject + ": " + answer.statusCode() + " " + answer.body());
        }
        return JSON.readTree(answer.body());
    }

    private static byte[] encode(ObjectNode order, int schemaId, Schema schema) throws Exception {
        GenericRecord features = new GenericData.Record(schema.getField("features").schema());
        // put throws for a name that the schema has not: a misspelt feature would be missing, and nobody would know.
        order.get("features").properties().forEach(f -> features.put(f.getKey(), value(f.getValue())));
        GenericRecord event = new GenericData.Record(schema);
        event.put("order_id", order.get("order_id").asText());
        event.put("event_version", order.path("event_version").asLong(0));
        event.put("occurred_at", Instant.parse(order.get("occurred_at").asText()).toEpochMilli());
        event.put("features", features);
        var out = new ByteArrayOutputStream();
        out.write(ByteBuffer.allocate(5).put((byte) 0).putInt(schemaId).array());
        var encoder = EncoderFactory.get().binaryEncoder(out, null);
        new GenericDatumWriter<GenericRecord>(schema).write(event, encoder);
        encoder.flush();
        return out.toByteArray();
    }

    private static Object value(JsonNode json) {
        return json.isNull() ? null : json.isNumber() ? (Object) json.asDouble() : json.asText();
    }
}
