import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.ResponseCode;
import org.apache.rocketmq.remoting.protocol.body.ClusterInfo;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** RocketMQ's own client with its default settings. */
final class RocketmqClient implements Messages.Client {
    private static final long PATIENCE_MS = 60_000;

    private final String nameServer;
    private final DefaultMQAdminExt admin;
    private final String broker;
    private final Map<String, List<MessageQueue>> queues = new HashMap<>();

    private RocketmqClient(String nameServer) throws Exception {
        this.nameServer = nameServer;
        admin = new DefaultMQAdminExt(PATIENCE_MS);
        admin.setNamesrvAddr(nameServer);
        admin.setInstanceName("admin");
        admin.start();
        broker = patiently(() -> {
            ClusterInfo cluster = admin.examineBrokerClusterInfo();
            return cluster.getBrokerAddrTable().values().iterator().next().selectBrokerAddr();
        });
    }

    public static void main(String[] arguments) throws Exception {
        Messages.serve(arguments[0], RocketmqClient::new);
    }

    /** What is done once the name server knows what it is asked for. */
    private static <T> T patiently(Callable<T> call) throws Exception {
        long limit = System.currentTimeMillis() + PATIENCE_MS;
        while (true) {
            try {
                return call.call();
            } catch (Exception error) {
                if (System.currentTimeMillis() > limit) {
                    throw error;
                }
                Thread.sleep(50);
            }
        }
    }

    @Override
    public String topic(String name, int count) throws Exception {
        patiently(() -> {
            admin.createAndUpdateTopicConfig(broker, new TopicConfig(name, count, count));
            return null;
        });
        String brokerName = patiently(() -> admin.examineTopicRouteInfo(name).getQueueDatas().get(0).getBrokerName());
        queues.put(name, IntStream.range(0, count).mapToObj(id -> new MessageQueue(name, brokerName, id)).toList());
        return Messages.done(0, 0, 0);
    }

    /** A thread for each queue, each with one message at a time: the client has no batches of its own accord. */
    @Override
    public String produce(String topic, int messages, int bytes) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("producer");
        producer.setNamesrvAddr(nameServer);
        // A message that was sent again could lie in the log twice.
        producer.setRetryTimesWhenSendFailed(0);
        producer.setSendMsgTimeout((int) PATIENCE_MS);
        producer.start();
        List<MessageQueue> queues = this.queues.get(topic);
        ExecutorService threads = Executors.newFixedThreadPool(queues.size());
        long began = System.nanoTime();
        try {
            List<Callable<Void>> work = queues.stream()
                    .map(queue -> (Callable<Void>) () -> {
                        for (int number = queue.getQueueId(); number < messages; number += queues.size()) {
                            send(producer, new Message(topic, Messages.make(number, bytes)), queue);
                        }
                        return null;
                    })
                    .collect(Collectors.toList());
            for (Future<Void> done : threads.invokeAll(work)) {
                done.get();
            }
        } finally {
            threads.shutdownNow();
            producer.shutdown();
        }
        return Messages.done(messages, 0, System.nanoTime() - began);
    }

    /** A broker that is too busy has not stored the message. */
    private static void send(DefaultMQProducer producer, Message message, MessageQueue queue) throws Exception {
        while (true) {
            try {
                producer.send(message, queue);
                return;
            } catch (MQBrokerException error) {
                if (error.getResponseCode() != ResponseCode.SYSTEM_BUSY) {
                    throw error;
                }
                Thread.sleep(10);
            }
        }
    }

    @Override
    public String consume(String topic, int messages, int bytes) throws Exception {
        Messages.Received received = new Messages.Received(messages, bytes);
        AtomicLong logBytes = new AtomicLong();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(UUID.randomUUID().toString());
        consumer.setNamesrvAddr(nameServer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.setMessageQueueListener((of, all, assigned) -> {
            if (of.equals(topic)) {
                received.begin();
            }
        });
        consumer.registerMessageListener((MessageListenerConcurrently) (batch, context) -> {
            for (MessageExt message : batch) {
                logBytes.addAndGet(message.getStoreSize());
                received.take(message.getQueueId(), message.getQueueOffset(), message.getBody());
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        try {
            received.await(PATIENCE_MS);
        } finally {
            consumer.shutdown();
        }
        return received.answer(queues.get(topic).size(), logBytes.get());
    }

    /** Changes a setting of the broker while it runs. */
    @Override
    public String set(String name, String value) throws Exception {
        Properties properties = new Properties();
        properties.put(name, value);
        admin.updateBrokerConfig(broker, properties);
        String now = admin.getBrokerConfig(broker).getProperty(name);
        if (!value.equals(now)) {
            throw new MQClientException(name + " is " + now, null);
        }
        return Messages.done(0, 0, 0);
    }
}
