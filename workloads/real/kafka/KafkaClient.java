import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Kafka's own client with its default settings. */
final class KafkaClient implements Messages.Client {
    private static final int NODE = 1;
    private static final long PATIENCE_MS = 60_000;
    private static final int DELIVERY_MS = 600_000;

    private final String address;
    private final Map<String, Integer> partitions = new HashMap<>();
    private final Map<String, Long> logBytes = new HashMap<>();

    private KafkaClient(String address) {
        this.address = address;
    }

    public static void main(String[] arguments) throws Exception {
        Messages.serve(arguments[0], KafkaClient::new);
    }

    private Properties properties() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", address);
        return properties;
    }

    @Override
    public String topic(String name, int count) throws Exception {
        try (Admin admin = Admin.create(properties())) {
            admin.createTopics(List.of(new NewTopic(name, count, (short) 1))).all().get();
        }
        partitions.put(name, count);
        return Messages.done(0, 0, 0);
    }

    @Override
    public String produce(String topic, int messages, int bytes) throws Exception {
        AtomicReference<Exception> failure = new AtomicReference<>();
        Properties properties = properties();
        // A machine that stands still for two minutes is slow, and not wrong.
        properties.put("delivery.timeout.ms", DELIVERY_MS);
        long began = System.nanoTime();
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int number = 0; number < messages && failure.get() == null; number++) {
                ProducerRecord<byte[], byte[]> message = new ProducerRecord<>(topic, Messages.make(number, bytes));
                producer.send(message, (sent, error) -> failure.compareAndSet(null, error));
            }
            producer.flush();
        }
        long took = System.nanoTime() - began;
        if (failure.get() != null) {
            throw failure.get();
        }
        logBytes.put(topic, bytesInLog(topic));
        return Messages.done(messages, logBytes.get(topic), took);
    }

    /** Bytes of a topic in the log, where a batch of messages has one header. */
    private long bytesInLog(String topic) throws Exception {
        try (Admin admin = Admin.create(properties())) {
            Map<String, LogDirDescription> folders =
                    admin.describeLogDirs(List.of(NODE)).allDescriptions().get().get(NODE);
            return folders.values().stream()
                    .flatMap(folder -> folder.replicaInfos().entrySet().stream())
                    .filter(replica -> replica.getKey().topic().equals(topic))
                    .mapToLong(replica -> replica.getValue().size())
                    .sum();
        }
    }

    @Override
    public String consume(String topic, int messages, int bytes) throws Exception {
        Messages.Received received = new Messages.Received(messages, bytes);
        Properties properties = properties();
        properties.put("group.id", UUID.randomUUID().toString());
        properties.put("auto.offset.reset", "earliest");
        KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        try (consumer) {
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
                    received.begin();
                }

                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> revoked) {}
            });
            long limit = System.currentTimeMillis() + PATIENCE_MS;
            while (!received.isOver() && System.currentTimeMillis() < limit) {
                for (ConsumerRecord<byte[], byte[]> message : consumer.poll(Duration.ofMillis(100))) {
                    received.take(message.partition(), message.offset(), message.value());
                    limit = System.currentTimeMillis() + PATIENCE_MS;
                }
            }
        }
        return received.answer(partitions.get(topic), logBytes.get(topic));
    }

    @Override
    public String set(String name, String value) {
        throw new UnsupportedOperationException(name);
    }
}
