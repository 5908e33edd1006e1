# Thin: every target is a call into tools/, which knows what to install and what is up to date.
BOARD ?= skr_pico
PORT ?=
LINK ?=
SETTINGS ?=

MAKEFLAGS += --no-print-directory
export PYTHONDONTWRITEBYTECODE := 1
SETUP := @python3 -m tools.setup
PY := @build/venv/bin/python
# FILE= that is given but empty is passed on, so that the tool can say what is wrong with it.
FILE_WORD = $(if $(filter undefined,$(origin FILE)),,"$(FILE)")

.PHONY: help setup run dryrun test bench firmware flash deploy twin docs lint clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*##  ?/  make \1|/' | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'
	@echo "Settings: BOARD=skr_pico|pico  FILE=part.gcode  PORT=/dev/ttyACM0  LINK=/tmp/printer  SETTINGS=m503.txt"

setup:  ## install what the tools need into build/venv
	$(SETUP)

run: setup  ## build the firmware, print FILE (default: the example) on the printer twin, draw what it did into out/
	$(PY) -m tools.run --board $(BOARD) $(FILE_WORD)

dryrun: setup  ## say what FILE (default: the example) will do: time, ways, limits; pictures and figures into out/
	$(PY) -m tools.dryrun --json --board $(BOARD) $(if $(SETTINGS),--settings "$(SETTINGS)") $(FILE_WORD)

test: setup  ## everything: style, builds, tests on CPython, on MicroPython and on the emulated board
	$(PY) -m tools.test

bench: setup  ## measure the firmware on the emulated board, write build/bench.json
	$(PY) -m tools.image $(BOARD) > /dev/null
	$(PY) -m tools.bench --board $(BOARD)

firmware: setup  ## build the image of BOARD, a UF2 to drop on the board
	$(PY) -m tools.image $(BOARD)

flash: setup  ## put the image on a connected board through its boot loader's drive
	$(PY) -m tools.flash $(BOARD) $(PORT)

deploy: setup  ## put the firmware on a board that runs stock MicroPython
	$(PY) -m tools.deploy $(BOARD) $(PORT)

twin: setup  ## the printer twin as a serial port for Pronterface, OctoPrint, ...; LINK= makes a stable name
	$(PY) -m tools.image $(BOARD) > /dev/null
	$(PY) -m tools.twin --board $(BOARD) $(if $(LINK),--link "$(LINK)")

docs: setup  ## write the pages of docs/ that are generated from the firmware's tables
	$(PY) -m tools.docs

lint: setup  ## check the style, and that every module compiles for the board
	$(PY) -m tools.lint

clean:  ## remove everything that was built or downloaded
	@rm -rf build out
