"""Files that people save: RRD, CSV, rrddata, InfluxDB, Prometheus."""
