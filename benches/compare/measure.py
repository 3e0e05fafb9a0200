"""Runs a command and prints what it cost: measure.py LOG COMMAND...

A program of its own, since Linux hands the peak memory of whoever starts a process on to it: this one has next to none.
"""

import os
import sys
import time


def main():
    log, *command = sys.argv[1:]
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    begun = time.monotonic()
    redirected = [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    process = os.posix_spawnp(command[0], command, os.environ, file_actions=redirected)
    # The usage of a process that was waited for holds that of those it has waited for.
    _, status, usage = os.wait4(process, 0)
    wall_s = time.monotonic() - begun
    code = os.waitstatus_to_exitcode(status)
    print(f'{{"wall_s": {wall_s}, "cpu_s": {usage.ru_utime + usage.ru_stime}, "kib": {usage.ru_maxrss}, "code": {code}}}')


main()
