"""The database of the open CAPF server, made here with its published columns."""

import contextlib
import sqlite3

COLUMNS = ("device_name text primary key, operation text, authentication text, password text, key_size integer, "
           "curve_name text, certificate text, serial_number text, not_valid_before text, not_valid_after text")


def write_database(path, rows, columns=COLUMNS):
    """@param rows (device, operation, authentication, key size, curve, certificate as PEM) each"""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(f"create table devices ({columns})")
        for row in rows:
            database.execute("insert into devices (device_name, operation, authentication, password, key_size, curve_name, "
                             "certificate) values (?, ?, ?, '90125', ?, ?, ?)", row)
