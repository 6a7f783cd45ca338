//! Tasks, workers, budgets and cancellation; knows no files.
