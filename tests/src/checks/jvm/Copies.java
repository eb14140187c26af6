import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import sun.misc.Unsafe;

/// Copies in its own memory what it is told, and says when: each line of its input is a way to copy, a number of
/// copies and their bytes.
public class Copies {
    static final int MOST = 1 << 20;
    static final byte[] array = new byte[MOST];
    static final byte[] other = new byte[MOST];
    static final ByteBuffer direct = ByteBuffer.allocateDirect(MOST);

    public static void main(String[] arguments) throws Exception {
        Field field = Unsafe.class.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        Unsafe unsafe = (Unsafe) field.get(null);
        var lines = new java.io.BufferedReader(new java.io.InputStreamReader(System.in));
        System.out.println("ready");
        for (String line; (line = lines.readLine()) != null; ) {
            String[] words = line.split(" ");
            int copies = Integer.parseInt(words[1]), bytes = Integer.parseInt(words[2]);
            // A thread that the tracer has not seen yet.
            Thread thread = new Thread(() -> copy(unsafe, words[0], copies, bytes), "copier");
            thread.start();
            thread.join();
            System.out.println("done");
        }
    }

    static void copy(Unsafe unsafe, String way, int copies, int bytes) {
        for (int copy = 0; copy < copies; copy++) {
            switch (way) {
                case "put" -> direct.clear().put(array, 0, bytes);
                case "get" -> direct.clear().get(array, 0, bytes);
                case "unsafe" -> {
                    long from = Unsafe.ARRAY_BYTE_BASE_OFFSET;
                    unsafe.copyMemory(array, from, other, from, bytes);
                }
                case "array" -> System.arraycopy(array, 0, other, 0, bytes);
                default -> throw new IllegalArgumentException(way);
            }
        }
    }
}
