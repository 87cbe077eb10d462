// What a record costs in a chain of the transforms of Apache Kafka Connect: CPU time, with schemas and without.
//
// The twin of crates/connect-transforms/examples/transform_cost.rs: the same records, the same chain, the same way of
// measuring. CPU time is that of the whole process, so garbage collection counts. Run it with bench/transform-cost/run.

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Timestamp;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.transforms.Cast;
import org.apache.kafka.connect.transforms.InsertField;
import org.apache.kafka.connect.transforms.ReplaceField;
import org.apache.kafka.connect.transforms.TimestampConverter;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.ValueToKey;

public class TransformCost {
    static final int BATCH = 500;
    static final OperatingSystemMXBean SYSTEM = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    static final Schema SCHEMA = SchemaBuilder.struct().name("customers.Value")
        .field("id", Schema.INT64_SCHEMA)
        .field("name", Schema.OPTIONAL_STRING_SCHEMA)
        .field("amount", Schema.OPTIONAL_FLOAT64_SCHEMA)
        .field("active", Schema.OPTIONAL_BOOLEAN_SCHEMA)
        .field("city", Schema.OPTIONAL_STRING_SCHEMA)
        .field("ts", Timestamp.SCHEMA)
        .build();
    /** So that nothing is optimized away. */
    static long seen;

    public static void main(String[] args) {
        int records = args.length > 0 ? Integer.parseInt(args[0]) : 2_000_000;
        report("with schemas", records, TransformCost::withSchema);
        report("without schemas", records, TransformCost::withoutSchema);
    }

    static void report(String name, int records, IntFunction<SinkRecord> make) {
        List<Transformation<SinkRecord>> chain = chain();
        // Twice, so that the compiler has seen it all.
        measure(records, make, chain);
        measure(records, make, List.of());
        double without = measure(records, make, List.of());
        double with = measure(records, make, chain);
        System.out.printf("java %s: %d records, %.3f CPU seconds, %.0f ns per record%n",
            name, records, with - without, (with - without) * 1e9 / records);
    }

    static List<Transformation<SinkRecord>> chain() {
        List<Transformation<SinkRecord>> chain = List.of(new InsertField.Value<>(), new ReplaceField.Value<>(),
            new TimestampConverter.Value<>(), new Cast.Value<>(), new ValueToKey<>());
        chain.get(0).configure(Map.of("topic.field", "topic", "partition.field", "partition",
            "timestamp.field", "inserted", "static.field", "site", "static.value", "ams"));
        chain.get(1).configure(Map.of("exclude", "city", "renames", "name:customer"));
        chain.get(2).configure(Map.of("field", "ts", "target.type", "string",
            "format", "yyyy-MM-dd'T'HH:mm:ss.SSS"));
        chain.get(3).configure(Map.of("spec", "id:string,amount:int64"));
        chain.get(4).configure(Map.of("fields", "id"));
        return chain;
    }

    static double measure(int records, IntFunction<SinkRecord> make, List<Transformation<SinkRecord>> chain) {
        List<SinkRecord> batch = new ArrayList<>(BATCH);
        long start = SYSTEM.getProcessCpuTime();
        for (int done = 0; done < records; done += BATCH) {
            for (int i = done; i < done + BATCH; i++) {
                batch.add(make.apply(i));
            }
            for (SinkRecord record : batch) {
                for (Transformation<SinkRecord> transform : chain) {
                    record = transform.apply(record);
                }
                seen += record.timestamp() + (record.key() == null ? 0 : 1);
            }
            batch.clear();
        }
        return (SYSTEM.getProcessCpuTime() - start) / 1e9;
    }

    static SinkRecord record(int i, Schema schema, Object value) {
        return new SinkRecord("customers", 3, null, null, schema, value, i, 1_700_000_000_000L + i,
            TimestampType.CREATE_TIME);
    }

    static SinkRecord withSchema(int i) {
        Struct value = new Struct(SCHEMA)
            .put("id", 100_000L + i)
            .put("name", "customer")
            .put("amount", i % 1000 + 0.5)
            .put("active", i % 2 == 0)
            .put("city", "Amsterdam")
            .put("ts", new Date(1_700_000_000_000L + i));
        return record(i, SCHEMA, value);
    }

    static SinkRecord withoutSchema(int i) {
        Map<String, Object> value = new HashMap<>();
        value.put("id", 100_000L + i);
        value.put("name", "customer");
        value.put("amount", i % 1000 + 0.5);
        value.put("active", i % 2 == 0);
        value.put("city", "Amsterdam");
        value.put("ts", 1_700_000_000_000L + i);
        return record(i, null, value);
    }
}
