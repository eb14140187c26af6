import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Random;
import java.util.zip.CRC32;

/** Messages that can be told apart and checked, and the line protocol by which copytrace has them sent. */
final class Messages {
    /** CRC-32 of what follows, and the number of the message. */
    private static final int HEADER = Integer.BYTES + Integer.BYTES;
    private static final byte[] NOISE = new byte[1 << 20];

    static {
        new Random(1).nextBytes(NOISE);
    }

    private Messages() {}

    /** The message of that number: no two are alike, and none can be compressed. */
    static byte[] make(int number, int bytes) {
        ByteBuffer message = ByteBuffer.allocate(bytes).putInt(0).putInt(number);
        int at = (int) (number * 4099L % NOISE.length);
        while (message.hasRemaining()) {
            int part = Math.min(message.remaining(), NOISE.length - at);
            message.put(NOISE, at, part);
            at = 0;
        }
        return message.putInt(0, checksum(message.array())).array();
    }

    private static int checksum(byte[] message) {
        CRC32 crc = new CRC32();
        crc.update(message, Integer.BYTES, message.length - Integer.BYTES);
        return (int) crc.getValue();
    }

    /** What a consumer got: every message once, unharmed, and those of a partition in their order. */
    static final class Received {
        private final int bytes;
        /** By the number of the message; -1 is none. */
        private final int[] partitions;
        private final long[] offsets;
        private int count;
        private long began;
        private long last;
        private String wrong;

        Received(int messages, int bytes) {
            this.bytes = bytes;
            partitions = new int[messages];
            offsets = new long[messages];
            Arrays.fill(partitions, -1);
        }

        /** It may ask for messages from now on. */
        synchronized void begin() {
            if (began == 0) {
                began = System.nanoTime();
            }
        }

        synchronized void take(int partition, long offset, byte[] message) {
            begin();
            int number = message.length == bytes ? ByteBuffer.wrap(message).getInt(Integer.BYTES) : -1;
            if (number < 0 || number >= partitions.length || ByteBuffer.wrap(message).getInt() != checksum(message)) {
                fail("the message at offset " + offset + " of partition " + partition + " is damaged");
            } else if (partitions[number] >= 0) {
                fail("message " + number + " came twice");
            } else {
                partitions[number] = partition;
                offsets[number] = offset;
                count += 1;
                last = System.nanoTime();
            }
            if (isOver()) {
                notifyAll();
            }
        }

        private void fail(String what) {
            wrong = wrong == null ? what : wrong;
        }

        synchronized boolean isOver() {
            return count == partitions.length || wrong != null;
        }

        synchronized void await(long milliseconds) throws InterruptedException {
            long limit = System.nanoTime() + milliseconds * 1_000_000;
            while (!isOver() && System.nanoTime() < limit) {
                wait(100);
            }
        }

        /** The answer, once all came. `logBytes`: what they take in the broker's log. */
        synchronized String answer(int partitionCount, long logBytes) {
            if (wrong == null && count < partitions.length) {
                fail("only " + count + " of " + partitions.length + " messages came");
            }
            long[] before = new long[partitionCount];
            Arrays.fill(before, -1);
            for (int number = 0; wrong == null && number < partitions.length; number++) {
                int partition = partitions[number];
                if (offsets[number] <= before[partition]) {
                    fail("message " + number + " is out of order in partition " + partition);
                }
                before[partition] = offsets[number];
            }
            if (wrong != null) {
                throw new IllegalStateException(wrong);
            }
            return done(count, logBytes, last - began);
        }
    }

    /** What was sent or received, as JSON. */
    static String done(int messages, long logBytes, long nanoseconds) {
        return "{\"messages\":" + messages + ",\"log_bytes\":" + logBytes + ",\"seconds\":" + nanoseconds / 1e9 + "}";
    }

    /** One broker's own client. */
    interface Client {
        String topic(String name, int partitions) throws Exception;

        String produce(String topic, int messages, int bytes) throws Exception;

        String consume(String topic, int messages, int bytes) throws Exception;

        String set(String name, String value) throws Exception;
    }

    /** Gets a client. */
    interface Connect {
        Client at(String address) throws Exception;
    }

    /** Does what it is told, a line each, until nobody tells it any more; answers with a line of JSON. */
    static void serve(String address, Connect connect) throws Exception {
        PrintStream answers = System.out;
        // What a library prints is no answer.
        System.setOut(System.err);
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        Client client = null;
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            try {
                client = client == null ? connect.at(address) : client;
                answers.println(obey(client, line.split(" ")));
            } catch (Throwable error) {
                error.printStackTrace();
                answers.println("{\"error\":\"" + quoted(error.toString()) + "\"}");
            }
            answers.flush();
        }
        // Without waiting for the threads of the libraries.
        Runtime.getRuntime().halt(0);
    }

    private static String obey(Client client, String[] words) throws Exception {
        switch (words[0]) {
            case "topic":
                return client.topic(words[1], Integer.parseInt(words[2]));
            case "produce":
                return client.produce(words[1], Integer.parseInt(words[2]), Integer.parseInt(words[3]));
            case "consume":
                return client.consume(words[1], Integer.parseInt(words[2]), Integer.parseInt(words[3]));
            case "set":
                return client.set(words[1], words[2]);
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }

    private static String quoted(String text) {
        return text.replaceAll("[\\p{Cntrl}\"\\\\]", " ");
    }
}
