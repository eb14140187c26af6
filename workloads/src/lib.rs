//! The transfer paths copytrace measures, one file a strategy, and their consumer.
