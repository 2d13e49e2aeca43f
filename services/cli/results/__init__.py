"""Results from a recorder's database: tables, report and video."""
