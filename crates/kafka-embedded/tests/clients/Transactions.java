import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Apache Kafka's own clients against the broker at args[0]: transactions committed and aborted, offsets
 * in them, a producer that is fenced. Ends with 0 when everything was as it should be.
 */
public class Transactions {
    static final Duration LIMIT = Duration.ofSeconds(60);
    static String bootstrap;

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        String run = Long.toHexString(System.nanoTime());
        String source = "java-source-" + run, copy = "java-copy-" + run, group = "java-group-" + run;
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(source, 1, (short) 1), new NewTopic(copy, 1, (short) 1))).all().get();
            try (KafkaProducer<String, String> plain = producer(null)) {
                for (String value : List.of("a", "b", "c")) {
                    plain.send(new ProducerRecord<>(source, value)).get();
                }
            }
            copy(source, copy, group, "java-id-" + run);
            TopicPartition partition = new TopicPartition(source, 0);
            long offset = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(partition).offset();
            expect("offset of the transaction", offset, 3L);
        }
        expect("committed values", read(copy, "read_committed", 4), List.of("A", "B", "C", "successor"));
        expect("all values", read(copy, "read_uncommitted", 6), List.of("aborted", "A", "B", "C", "zombie", "successor"));
        System.out.println("java: transactions well");
    }

    static void copy(String source, String copy, String group, String id) throws Exception {
        KafkaProducer<String, String> zombie = producer(id);
        zombie.initTransactions();
        zombie.beginTransaction();
        zombie.send(new ProducerRecord<>(copy, "aborted"));
        // What is not sent yet when a transaction is aborted is never sent.
        zombie.flush();
        zombie.abortTransaction();

        try (KafkaConsumer<String, String> consumer = consumer(group, "read_committed")) {
            consumer.subscribe(List.of(source));
            List<ConsumerRecord<String, String>> records = take(consumer, 3);
            zombie.beginTransaction();
            for (ConsumerRecord<String, String> record : records) {
                zombie.send(new ProducerRecord<>(copy, record.value().toUpperCase()));
            }
            Map<TopicPartition, OffsetAndMetadata> offsets = Map.of(new TopicPartition(source, 0), new OffsetAndMetadata(3));
            zombie.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
            zombie.commitTransaction();
        }

        zombie.beginTransaction();
        zombie.send(new ProducerRecord<>(copy, "zombie")).get();
        try (KafkaProducer<String, String> successor = producer(id)) {
            successor.initTransactions();
            successor.beginTransaction();
            successor.send(new ProducerRecord<>(copy, "successor")).get();
            successor.commitTransaction();
        }
        try {
            zombie.send(new ProducerRecord<>(copy, "late")).get();
            throw new AssertionError("a zombie was not fenced");
        } catch (ExecutionException error) {
            Class<?> cause = error.getCause().getClass();
            Set<Class<?>> fenced = Set.of(InvalidProducerEpochException.class, ProducerFencedException.class);
            expect("a zombie hears " + cause, fenced.contains(cause), true);
        }
        zombie.close(Duration.ZERO);
    }

    static KafkaProducer<String, String> producer(String transactionalId) {
        Map<String, Object> settings = new java.util.HashMap<>(Map.of("bootstrap.servers", bootstrap));
        if (transactionalId != null) {
            settings.put("transactional.id", transactionalId);
        }
        return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(String group, String isolation) {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", bootstrap,
                "group.id", group,
                "auto.offset.reset", "earliest",
                "enable.auto.commit", false,
                "isolation.level", isolation);
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    /** At least so many records. */
    static List<ConsumerRecord<String, String>> take(KafkaConsumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> taken = new ArrayList<>();
        long deadline = System.nanoTime() + LIMIT.toNanos();
        while (taken.size() < count) {
            consumer.poll(Duration.ofMillis(100)).forEach(taken::add);
            if (System.nanoTime() > deadline) {
                throw new AssertionError("found " + taken.size() + " records, expected " + count);
            }
        }
        return taken;
    }

    static List<String> read(String topic, String isolation, int count) {
        try (KafkaConsumer<String, String> consumer = consumer("java-readers-" + System.nanoTime(), isolation)) {
            consumer.subscribe(List.of(topic));
            return take(consumer, count).stream().map(ConsumerRecord::value).toList();
        }
    }

    static void expect(String what, Object found, Object expected) {
        if (!found.equals(expected)) {
            throw new AssertionError(what + ": found " + found + ", expected " + expected);
        }
    }
}
