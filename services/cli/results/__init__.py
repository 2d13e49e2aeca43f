"""What is made of a recorder's database: tables, report and video."""
