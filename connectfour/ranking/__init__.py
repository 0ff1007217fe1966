"""Ranks players by games: log, ratings, schedule, tournament, tables, rehearsal."""
