import org.apache.rocketmq.store.ha.DefaultHAService;

/**
 * RocketMQ's own service for replicas, never started: there are none, and it would listen on all addresses
 * of the machine, whatever bindAddress says.
 */
public final class NoReplicas extends DefaultHAService {
    @Override
    public void start() {}
}
