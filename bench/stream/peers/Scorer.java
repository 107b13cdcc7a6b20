import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import ml.dmlc.xgboost4j.java.Booster;
import ml.dmlc.xgboost4j.java.DMatrix;
import ml.dmlc.xgboost4j.java.XGBoost;
import ml.dmlc.xgboost4j.java.XGBoostError;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/**
 * A stream scorer as one writes it with Kafka Streams and xgboost4j: it scores, and does not explain. With a batch of 1
 * every record is predicted alone; with more, records wait for a full batch or 5 ms, and are predicted in one call.
 *
 * <p>Arguments: broker, from, to, group, bundle, pins of order and result schema (two files), batch, state directory.
 */
public final class Scorer implements Processor<byte[], byte[], byte[], byte[]> {
    private static final int FRAME = 5;
    private static final String[] FEATURES = {
        "feature_discount_pct", "feature_velocity_24h", "feature_hours_since_trend_peak", "feature_creator_reliability",
        "feature_cust_prior_return_rate_90d", "feature_cust_avg_order_value_90d", "feature_prod_size_fit_rate", "feature_device_type",
    };
    private static final List<String> DEVICES = List.of("app", "desktop", "mobile", "tablet");

    private final Booster model;
    private final float base;
    private final int batch;
    private final GenericDatumReader<GenericRecord> reader;
    private final GenericDatumWriter<GenericRecord> writer;
    private final Schema result;
    private final List<Record<byte[], byte[]>> records = new ArrayList<>();
    private final List<GenericRecord> events = new ArrayList<>();
    private final ByteArrayOutputStream out = new ByteArrayOutputStream(512);
    private ProcessorContext<byte[], byte[]> context;
    private BinaryDecoder decoder;
    private BinaryEncoder encoder;

    private Scorer(Booster model, float base, Schema order, Schema result, int batch) {
        this.model = model;
        this.base = base;
        this.batch = batch;
        this.result = result;
        reader = new GenericDatumReader<>(order);
        writer = new GenericDatumWriter<>(result);
    }

    public static void main(String[] args) throws Exception {
        Schema order = new Schema.Parser().parse(Files.readString(Path.of(args[5])));
        Schema result = new Schema.Parser().parse(Files.readString(Path.of(args[6])));
        int batch = Integer.parseInt(args[7]);
        String model = args[4] + "/model.ubj";
        float base = Float.parseFloat(args[9]); // this version does not read the base score of later ones
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, args[3]);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, args[8]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Runtime.getRuntime().availableProcessors());
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 150);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 2000);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.ACKS_CONFIG), "all");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 1);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 1 << 18);

        Topology topology = new Topology();
        topology.addSource("orders", Serdes.ByteArray().deserializer(), Serdes.ByteArray().deserializer(), args[1]);
        topology.addProcessor("score", () -> new Scorer(load(model), base, order, result, batch), "orders");
        topology.addSink("results", args[2], Serdes.ByteArray().serializer(), Serdes.ByteArray().serializer(), "score");
        KafkaStreams streams = new KafkaStreams(topology, settings);
        streams.setUncaughtExceptionHandler(e -> {
            e.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
        streams.start();
    }

    private static Booster load(String path) {
        try {
            Booster model = XGBoost.loadModel(path);
            model.setParam("nthread", 1);
            return model;
        } catch (XGBoostError e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
        this.context = context;
        if (batch > 1) {
            context.schedule(Duration.ofMillis(5), PunctuationType.WALL_CLOCK_TIME, now -> flush());
        }
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        try {
            byte[] value = record.value();
            decoder = DecoderFactory.get().binaryDecoder(value, FRAME, value.length - FRAME, decoder);
            events.add(reader.read(null, decoder));
            records.add(record);
        } catch (java.io.IOException e) {
            throw new IllegalStateException(e);
        }
        if (records.size() == batch) {
            flush();
        }
    }

    /** Predicts and forwards what has gathered. */
    private void flush() {
        if (records.isEmpty()) {
            return;
        }
        float[] rows = new float[records.size() * FEATURES.length];
        for (int i = 0; i < events.size(); i++) {
            fill(rows, i * FEATURES.length, (GenericRecord) events.get(i).get("features"));
        }
        try {
            DMatrix matrix = new DMatrix(rows, events.size(), FEATURES.length, Float.NaN);
            matrix.setFeatureNames(FEATURES);
            matrix.setFeatureTypes(new String[] {"q", "q", "q", "q", "q", "q", "q", "c"});
            float[] bases = new float[events.size()];
            Arrays.fill(bases, base);
            matrix.setBaseMargin(bases);
            float[][] scores = model.predict(matrix);
            matrix.dispose();
            for (int i = 0; i < scores.length; i++) {
                context.forward(records.get(i).withValue(encode(events.get(i), scores[i][0])));
            }
        } catch (XGBoostError | java.io.IOException e) {
            throw new IllegalStateException(e);
        }
        records.clear();
        events.clear();
    }

    private static void fill(float[] rows, int at, GenericRecord features) {
        for (int j = 0; j < FEATURES.length; j++) {
            Object value = features.get(FEATURES[j]);
            if (value == null) {
                rows[at + j] = Float.NaN;
            } else if (value instanceof Double number) {
                rows[at + j] = number.floatValue();
            } else {
                rows[at + j] = DEVICES.indexOf(value.toString());
            }
        }
    }

    private byte[] encode(GenericRecord event, float score) throws java.io.IOException {
        GenericRecord r = new GenericData.Record(result);
        r.put("order_id", event.get("order_id"));
        r.put("event_version", event.get("event_version"));
        r.put("occurred_at", event.get("occurred_at"));
        r.put("prediction_id", "00000000000000000000000000000000");
        r.put("risk_score", Math.round(score * 1e4) / 1e4);
        r.put("margin", Math.log(score / (1 - score)));
        String band = score < 0.4 ? "LOW" : score < 0.65 ? "MEDIUM" : "HIGH";
        r.put("risk_band", new GenericData.EnumSymbol(result.getField("risk_band").schema(), band));
        r.put("model_version", "trendbuy_xgb_v1.0.0");
        r.put("model_digest", "0".repeat(64));
        r.put("engine", "xgboost4j");
        r.put("top_contributors", List.of());
        r.put("reasons", List.of());
        r.put("explanation", new GenericData.EnumSymbol(result.getField("explanation").schema(), "NONE"));
        out.reset();
        out.write(ByteBuffer.allocate(FRAME).put((byte) 0).putInt(2).array());
        encoder = EncoderFactory.get().directBinaryEncoder(out, encoder);
        writer.write(r, encoder);
        return out.toByteArray();
    }
}
