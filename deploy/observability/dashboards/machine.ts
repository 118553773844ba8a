/** The dashboard of the engines and the machine. */
import { type Dashboard, gauge, instance, rate } from "./graph.ts";

/** What the processes stand on. */
export const machineDashboard: Dashboard = {
  uid: "tribe-machine",
  title: "Tribe: engines and machine",
  graphs: [
    {
      title: "Connections to PostgreSQL",
      unit: "short",
      description: "Of the primary and of each replica",
      queries: {
        "{{db_client_connection_pool_name}} {{db_client_connection_state}}": gauge(
          "db_client_connection_count",
          "sum by (db_client_connection_pool_name, db_client_connection_state)",
        ),
        "{{db_client_connection_pool_name}} at most": gauge(
          "db_client_connection_max",
          "sum by (db_client_connection_pool_name)",
        ),
        "calls that wait": gauge("db_client_connection_pending_requests", "sum"),
      },
    },
    {
      title: "Statements under way",
      unit: "short",
      description: "Of the hot path",
      queries: {
        "{{instance}}": gauge("tribe_postgres_statements_under_way", "sum by (instance)"),
      },
    },
    {
      title: "Lag of replicas",
      unit: "s",
      description: "How old what they show is",
      none: "There are no replicas",
      queries: { "{{replica}}": gauge("tribe_postgres_replica_lag_seconds", "max by (replica)") },
    },
    {
      title: "Redis",
      unit: "ops",
      description: "Commands a second",
      queries: {
        "{{instance}} sent": rate("tribe_redis_commands_total", "instance"),
        "{{instance}} failed": rate("tribe_redis_failed_commands_total", "instance"),
      },
    },
    {
      title: "Duration of checks",
      unit: "s",
      description: "How long parts took to answer the last health check",
      queries: {
        // Deployments are not asked, so their checks take no time.
        "{{component}}": `max by (component) (tribe_component_check_duration_seconds{${instance},component!~"deployment:.*"})`,
      },
    },
    {
      title: "CPU",
      unit: "short",
      description: "Cores that the process uses",
      queries: { "{{instance}}": rate("process_cpu_seconds_total", "instance") },
    },
    {
      title: "Event loop: delay, p99",
      unit: "s",
      description: "How late timers are",
      queries: {
        "{{instance}}": gauge("nodejs_eventloop_delay_p99_seconds", "max by (instance)"),
      },
    },
    {
      title: "Event loop: busy",
      unit: "percentunit",
      description: "Share of the time",
      queries: {
        "{{instance}}": gauge("nodejs_eventloop_utilization_ratio", "max by (instance)"),
      },
    },
    {
      title: "Memory",
      unit: "bytes",
      description: "Of the process, its heap, and what it may take",
      queries: {
        "{{instance}}": gauge("process_resident_memory_bytes", "sum by (instance)"),
        "{{instance}} heap": gauge("nodejs_heap_size_used_bytes", "sum by (instance)"),
        "limit of each": gauge("tribe_memory_limit_bytes", "min"),
      },
    },
    {
      title: "Open files and sockets",
      unit: "short",
      description: "Of the process",
      queries: { "{{instance}}": gauge("process_open_fds", "sum by (instance)") },
    },
    {
      title: "Disk left",
      unit: "percentunit",
      description: "Of the folders that the process works in",
      queries: {
        "{{instance}} {{path}}": `system_filesystem_available_bytes{${instance}} / system_filesystem_limit_bytes{${instance}}`,
      },
    },
    {
      title: "Network of the machine",
      unit: "Bps",
      description: "Bytes a second",
      queries: {
        "{{instance}} {{network_io_direction}}": rate(
          "system_network_io_bytes_total",
          "instance, network_io_direction",
        ),
      },
    },
  ],
};
