"""Programs that try to break out, forge or exhaust. Data for test_hostile.py; never run them anywhere else.

Programs of ATTEMPTS try several things through `held`, which prints "held" only where every single one was refused
by the system: a missing name or a wrong argument is no refusal.
"""

PRELUDE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return result

def held(*attempts):
    for number, attempt in enumerate(attempts):
        try:
            got = attempt()
        except OSError as error:
            continue
        if got is not False:
            print("ESCAPED by attempt", number, repr(got)[:200])
    print("held", flush=True)
"""

NETWORK = {
    "tcp": "import socket; held(lambda: socket.create_connection(('127.0.0.1', PORT), 1))",
    "tcp6": "import socket; held(lambda: socket.socket(socket.AF_INET6).connect(('::1', PORT)))",
    "udp": "import socket; held(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT)))",
    "raw": "import socket; held(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))",
    "unix path": "import socket; held(lambda: socket.socket(socket.AF_UNIX).connect('FOLDER/socket'))",
    "unix abstract": "import socket; held(lambda: socket.socket(socket.AF_UNIX).connect('\\0goalward-ABSTRACT'))",
    "unix pair connected elsewhere": """
import socket
one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
held(lambda: one.connect('\\0goalward-ABSTRACT'), lambda: one.sendto(b'x', '\\0goalward-ABSTRACT-datagram'))
""",
    "netlink": "import socket; held(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))",
    "packet": "import socket; held(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))",
    "vsock": "import socket; held(lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))",
    "kernel crypto": "import socket; held(lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET))",
    "every family and type": """
import socket
held(*(lambda f=f, t=t: socket.socket(f, t) for f in range(50) for t in (1, 2, 3, 4, 5)))
""",
    "every family of pairs": "held(*(lambda f=f: call(SOCKETPAIR, f, 1, 0, ctypes.create_string_buffer(8)) for f in range(2, 50)))",
    "names": "import socket; held(lambda: socket.getaddrinfo('deb.debian.org', 80))",
    "http": "import urllib.request; held(lambda: urllib.request.urlopen('http://127.0.0.1:PORT/', timeout=1))",
}

FILES = {
    "passwords": "held(*(lambda p=p: open(p).read() for p in ('/etc/passwd', '/etc/shadow', '/etc/hosts', '/etc/machine-id')))",
    "root's home": "held(lambda: [n for n in os.listdir('/root') if n != '.pyenv'] or False)",
    "homes": "held(lambda: os.listdir('/home'), lambda: os.listdir('/mnt'), lambda: os.listdir('/var'))",
    "the project": "held(lambda: os.listdir('PROJECT'), lambda: open('PROJECT/pyproject.toml'), lambda: open('PROJECT/src/goalward/cli.py'))",
    "what is installed": "held(lambda: os.listdir('PACKAGES')); import importlib.util; assert not importlib.util.find_spec('numpy')",
    "a secret by name": "held(lambda: open('FOLDER/secret').read(), lambda: os.listdir('FOLDER'), lambda: os.stat('FOLDER/secret'))",
    "a secret by search": """
held(lambda: [f for top, _, files in os.walk('/') for f in files if 'goalward-secret' in f] or False)
""",
    "a link out": """
os.symlink('FOLDER/secret', 'a'); os.symlink('/../../../../etc/passwd', 'b'); os.symlink('/', 'c')
held(lambda: open('a').read(), lambda: open('b').read(), lambda: open('c/etc/passwd'), lambda: os.rename('a', 'c/a'))
""",
    "dots out": "held(lambda: open('../' * 30 + 'etc/passwd'), lambda: open('..FOLDER/secret'), lambda: os.open('../../etc/passwd', 0))",
    "folder descriptors out": """
here = os.open('.', os.O_RDONLY)
held(lambda: os.open('../etc/passwd', 0, dir_fd=here), lambda: os.open('../..FOLDER/secret', 0, dir_fd=here))
""",
    "hard links": "held(lambda: os.link(os.__file__, 'mine'), lambda: os.link('/etc/passwd', 'mine2'), lambda: os.link('/dev/null', 'mine3'))",
    "proc": """
held(lambda: os.listdir('/proc'), *(lambda n=n: open(f'/proc/{p}/{n}', 'rb').read() for p in ('self', '1', '2')
     for n in ('environ', 'mem', 'maps', 'cmdline', 'status', 'fd/3', 'root/etc/passwd', 'cwd/x')))
""",
    "memory by proc": "held(lambda: os.open('/proc/self/mem', os.O_RDWR), lambda: os.open('/proc/1/mem', os.O_RDWR))",
    "own proc": "os.mkdir('p'); held(lambda: call(MOUNT, b'proc', b'p', b'proc', 0, 0), lambda: os.listdir('p') or False)",
    "sys": "held(lambda: os.listdir('/sys'), lambda: os.listdir('/sys/fs/cgroup'), lambda: open('/sys/kernel/uevent_helper', 'w'))",
    "devices": """
held(*(lambda n=n: os.open('/dev/' + n, os.O_RDONLY) for n in
       ('mem', 'kmem', 'port', 'kmsg', 'vda', 'sda', 'loop0', 'tty', 'pts/0', 'ptmx', 'fuse', 'kvm', 'nvidia0', 'net/tun')))
""",
    "new devices": "import stat; held(lambda: os.mknod('d', 0o666 | stat.S_IFBLK, os.makedev(254, 0)), lambda: os.mknod('k', 0o666 | stat.S_IFCHR, os.makedev(1, 1)))",
    "writing elsewhere": """
def write(folder):
    path = os.path.join(folder, 'goalward-was-here')
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    return os.path.realpath(path)
mine = os.path.realpath('/box') + '/'
held(*(lambda t=t: (lambda p: False if p.startswith(mine) else p)(write(t)) for t, _, _ in os.walk('/')), lambda: write('FOLDER'))
""",
    "the runtime": """
import json
held(lambda: open(json.__file__, 'a'), lambda: os.unlink(json.__file__), lambda: os.chmod(json.__file__, 0o777),
     lambda: open(sys.executable, 'r+b'), lambda: os.rename(os.path.dirname(json.__file__), '/box/json'),
     lambda: os.utime(json.__file__), lambda: os.truncate(json.__file__, 0), lambda: os.chown(json.__file__, 0, 0))
""",
    "the library": "held(lambda: open('/goalward/inner/init.py', 'a'), lambda: os.unlink('/goalward/inner/init.py'), lambda: os.listdir('/old'))",
    "remounting": "held(lambda: call(MOUNT, 0, b'/', 0, 32, 0), lambda: call(MOUNT, 0, b'/usr/lib', 0, 32 | 4096, 0), lambda: call(UMOUNT, b'/box', 2))",
    "chroot": "os.mkdir('r'); held(lambda: os.chroot('r'), lambda: call(PIVOT_ROOT, b'r', b'r'))",
    "file handles": "held(lambda: call(OPEN_BY_HANDLE, -100, ctypes.create_string_buffer(64), 0))",
    "a shell": "held(lambda: os.execv('/bin/sh', ['sh', '-c', 'id']), lambda: os.execv('/usr/bin/env', ['env'])); assert os.system('id')",
    "setuid programs": "held(lambda: os.execv('/usr/bin/su', ['su']), lambda: os.execv('/usr/bin/sudo', ['sudo', 'id']), lambda: os.execv('/usr/bin/bwrap', ['bwrap']))",
    "left open descriptors": "held(*(lambda n=n: os.fstat(n) for n in range(3, 4096)))",
    "core dumps": """
if os.fork() == 0:
    os.abort()
os.wait()
held(lambda: [n for n in os.listdir('.') if 'core' in n] or False, lambda: open('/proc/sys/kernel/core_pattern').read())
""",
    "the environment": "print(dict(os.environ)); libc.environ = 0; held(lambda: os.environ['GOALWARD_TEST_SECRET'] if 'GOALWARD_TEST_SECRET' in os.environ else False)",
    "the stack's own environment": """
environ = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, 'environ')
i = 0
while environ[i]:
    print(environ[i]); i += 1
print(sys.argv, sys.orig_argv); held(lambda: False)
""",
}

POWERS = {
    "every refused call": "held(*(lambda n=n: (call(n, 0, 0, 0, 0, 0), n) for n in DENIED))",
    "calls of the future": "held(*(lambda n=n: (call(n, 0, 0, 0, 0, 0), n) for n in range(451, 700)))",
    "new namespaces by clone": """
def clone(flags):
    pid = call(CLONE, flags | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid
held(*(lambda f=f: clone(f) for f in (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)))
""",
    "new namespaces by clone3": "held(lambda: call(435, ctypes.create_string_buffer(88), 88))",
    "nested user namespaces": "held(lambda: call(UNSHARE, 0x10000000), lambda: call(UNSHARE, 0x10020000))",
    "becoming root": """
held(lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.seteuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]),
     lambda: False if os.getuid() and os.geteuid() else 'root')
""",
    "capabilities": """
import struct
header = struct.pack('Ii', 0x20080522, 0)
held(lambda: call(CAPSET, header, b'\\xff' * 24), lambda: libc.prctl(47, 2, 21, 0, 0) == 0, lambda: libc.prctl(24, 21, 0, 0, 0) == 0)
data = ctypes.create_string_buffer(24)
call(CAPGET, header, data)
print('ESCAPED with capabilities' if data.raw[:8] != bytes(8) else '', end='')
""",
    "a setuid copy": """
import shutil
shutil.copy(sys.executable, 'me'); os.chmod('me', 0o6777)
pid = os.fork()
if pid == 0:
    os.execv('/box/me', ['me', '-I', '-S', '-c', 'import os; os._exit(0 if 0 in os.getresuid() + os.getresgid() else 7)'])
print('ESCAPED' if os.waitstatus_to_exitcode(os.wait()[1]) == 0 else 'held')
""",
    "no new privileges undone": "libc.prctl(38, 0, 0, 0, 0); held(lambda: libc.prctl(39, 0, 0, 0, 0) == 0)",
    "a filter of its own": "held(lambda: call(SECCOMP, 0, 0, 0), lambda: libc.prctl(22, 0, 0, 0, 0) == 0)",
    "tracing process 1": "held(*(lambda r=r, p=p: call(PTRACE, r, p, 0, 0) for r in (0, 16, 0x4206) for p in (1, os.getppid())))",
    "memory of process 1": """
local = (ctypes.c_size_t * 2)(ctypes.addressof(ctypes.create_string_buffer(8)), 8)
held(lambda: call(VM_READ, 1, local, 1, local, 1, 0), lambda: call(VM_WRITE, 1, local, 1, local, 1, 0))
""",
    "descriptors of process 1": "held(lambda: os.pidfd_open(1), lambda: call(438, 3, 3, 0))",
    "limits of process 1": """
import resource
held(lambda: resource.prlimit(1, resource.RLIMIT_CPU, (0, 0)), lambda: resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0)),
     lambda: os.setpriority(os.PRIO_PROCESS, 1, 19), lambda: os.sched_setaffinity(1, {0}))
""",
    "own limits": """
import resource
def lift(kind):
    try: resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError as error: raise OSError from error
held(*(lambda k=k: (lift(k), k) for k in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE,
       resource.RLIMIT_CORE, resource.RLIMIT_NOFILE, resource.RLIMIT_CPU)))
""",
    "memory that is no file": "held(lambda: os.memfd_create('x'), lambda: call(SHMGET, 0, 1 << 20, 0o1600), lambda: call(447, 0))",
    "signals to everyone": """
import signal
for number in range(1, 65):
    if number in (signal.SIGKILL, signal.SIGSTOP): continue
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
for number in range(1, 65):
    for target in (1, os.getppid()):
        try: os.kill(target, number)
        except OSError: pass
for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
    try: os.kill(-1, number)
    except OSError: pass
print('held', flush=True)
""",
    "keys typed into the terminal": "import fcntl; held(*(lambda fd=fd: fcntl.ioctl(fd, 0x5412, b'x') for fd in (0, 1, 2)))",
    "priority": "held(lambda: os.nice(-5))",
    "the machine's name and clock": "import socket, time; held(lambda: socket.sethostname('x'), lambda: time.clock_settime(time.CLOCK_REALTIME, 0))",
    "the input written": "held(lambda: os.write(0, b'x'), lambda: os.ftruncate(0, 1 << 20))",
}

# Program: (the status it must end with, the code). Every one is run with small limits.
EXHAUSTION = {
    "fork bomb": ("timeout", "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"),
    "fork bomb that leaves at once": (
        "ok",
        "import os\nwhile True:\n    try:\n        if os.fork(): os._exit(0)\n    except OSError: pass",
    ),
    "exec bomb": (
        "timeout",
        "import os, sys\nos.fork(); os.execv(sys.executable, [sys.executable, '-I', '-S', '-c', 'while True: pass'])",
    ),
    "thread bomb": (
        "error",
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
    ),
    "memory": ("memory", "x = []\nwhile True: x.append(bytearray(1 << 20))"),
    "memory in one piece": ("memory", "x = bytearray(1 << 40)"),
    "memory of many children": (
        "memory",
        "import os, time\nfor _ in range(7):\n    if os.fork() == 0: break\nx = bytearray(60 << 20)\ntime.sleep(9)",
    ),
    "memory shared": (
        "memory",
        "import mmap, os, time\nfor _ in range(7):\n    if os.fork() == 0: break\nm = mmap.mmap(-1, 60 << 20)\nm.write(bytes(60 << 20))\ntime.sleep(9)",
    ),
    "memory whose error is hidden": (
        "timeout",
        "x = []\nwhile True:\n    try: x.append(bytearray(1 << 20))\n    except MemoryError: pass",
    ),
    "one long file": ("error", "f = open('f', 'wb')\nwhile True: f.write(bytes(1 << 20))"),
    "long files": ("error", "for i in range(99): open(str(i), 'wb').write(bytes(2 << 20))"),
    "a hole of a file": ("error", "import os\nos.truncate(os.open('f', 65), 1 << 40)"),
    "many files": ("error", "for i in range(10**7): open(str(i), 'w').close()"),
    "many folders": ("error", "import os\nwhile True: os.mkdir('d'); os.chdir('d')"),
    "many links": ("error", "import os\nfor i in range(10**7): os.symlink('x', str(i))"),
    "many descriptors": ("error", "f = []\nwhile True: f.append(open('f', 'w'))"),
    "many pipes": ("error", "import os\nf = []\nwhile True: f.append(os.pipe())"),
    "output": ("output", "while True: print('x' * 1000)"),
    "errors": ("output", "import sys\nwhile True: sys.stderr.write('x' * 1000)"),
    "output and errors of children": (
        "output",
        "import os\nos.fork(); os.fork()\nwhile True: os.write(1, b'x' * 999); os.write(2, b'x' * 999)",
    ),
    "sleep": ("timeout", "import time\ntime.sleep(99)"),
    "a loop": ("timeout", "while True: pass"),
    "processor time of children": ("timeout", "import os\nfor _ in range(3): os.fork()\nwhile True: pass"),
    "deaf to signals": (
        "timeout",
        "import signal, time\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass",
    ),
    "stopped": ("timeout", "import os\nos.kill(os.getpid(), 19)"),
    "closed descriptors": ("timeout", "import os, time\nos.closerange(0, 999)\ntime.sleep(99)"),
    "closed descriptors and daemons": (
        "timeout",
        "import os, time\nfor _ in range(3):\n    if os.fork() == 0: os.setsid()\nos.closerange(0, 999)\ntime.sleep(99)",
    ),
    "a daemon": (
        "ok",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        os.closerange(0, 999)\n        time.sleep(99)\n        os._exit(0)\n    os._exit(0)\nos.wait()",
    ),
    "a daemon that holds the output": (
        "ok",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(99)\n    os._exit(0)\nos.wait()",
    ),
    "a thread that stays": (
        "timeout",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()",
    ),
    "an exit handler that stays": ("timeout", "import atexit, time\natexit.register(time.sleep, 99)"),
    "a finaliser that stays": (
        "timeout",
        "import time\nclass A:\n    def __del__(self, sleep=time.sleep): sleep(99)\na = A()",
    ),
    "deep recursion": ("error", "def f(): f()\nf()"),
    "bottomless recursion": (
        "error",
        "import sys\nsys.setrecursionlimit(10**9)\nclass A:\n    def __getattr__(self, n): return getattr(self, n + 'x')\ndef f(x): return sorted([x], key=f)\nf(1)",
    ),
    "a number": ("timeout", "9**9**9"),
    "a pattern": ("timeout", "import re\nre.match('(a+)+$', 'a' * 60 + 'b')"),
    "a parser": (
        "error",
        "try: eval('(' * 10**5 + ')' * 10**5)\nexcept (SyntaxError, MemoryError, RecursionError): raise SystemExit(1)",
    ),
    "a zip bomb": (
        "memory",
        "import zlib\nc = zlib.compress(bytes(20 << 20))\nx = [zlib.decompress(c) for _ in range(20)]",
    ),
    "a crash": ("error", "import ctypes\nctypes.string_at(0)"),
    "input that never comes": ("error", "input()"),
    "a fifo": ("timeout", "import os\nos.mkfifo('f')\nopen('f')"),
    "the other instruction set": (
        "error",
        "import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')\nctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()\nprint('ESCAPED')",
    ),
    "the other numbering": (
        "error",
        "import ctypes\nctypes.CDLL(None).syscall(0x40000000 + 39)\nprint('ESCAPED')",
    ),
}

_FRAMES = """
import os, struct
def frame(*parts):
    def text(t): return b's' + struct.pack('>I', len(t)) + t.encode()
    body = b'l' + struct.pack('>I', len(parts)) + b''.join(text(p) if isinstance(p, str) else b'T' if p is True else b'i\\0\\0\\0\\1' + bytes([p]) for p in parts)
    return struct.pack('>I', len(body)) + body
everything = frame('started') + frame('test', 0, True, '') + frame('test', 1, True, '') + frame('exit', 0)
def shout():
    for fd in range(64):
        try: os.write(fd, everything)
        except OSError: pass
"""

# Does not match its own text.
_NEEDLE = """
import re
needle = re.compile(rb'add[(]20, 2[2]')
"""
_MEMORY = """
import ctypes, os
libc = ctypes.CDLL(None)
libc.write.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_size_t]
out, into = os.pipe()
def found():
    # write() to a pipe reads memory and refuses addresses that are not there, where reading would crash.
    for middle in {id(x) >> 24 << 24 for x in (0, object(), [], os, re, found, b'x' * 99999)}:
        for page in range(middle - (16 << 20), middle + (32 << 20), 4096):
            if libc.write(into, page, 4096) == 4096 and needle.search(os.read(out, 4096)):
                return True
    return False
"""

# Each of them claims to solve: add(1, 2) == 3 and add(20, 22) == 42, and does not.
FORGERIES = {
    "leaving at once": "import sys; sys.exit(0)",
    "leaving harder": "import os; os._exit(0)",
    "raising SystemExit": "raise SystemExit(0)",
    "leaving when called": "import sys\ndef add(a, b): sys.exit(0)",
    "leaving harder when called": "import os\ndef add(a, b): os._exit(0)",
    "equal to everything": "class Same:\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\ndef add(a, b): return Same()",
    "a number equal to everything": "class Same(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\ndef add(a, b): return Same(0)",
    "a float equal to everything": "class Same(float):\n    def __eq__(self, other): return True\n    def __sub__(self, other): return 0.0\ndef add(a, b): return Same(0)",
    "text that is a number": "def add(a, b): return str(a + b)",
    "an object that pretends its class": "class Same:\n    __class__ = int\n    def __eq__(self, other): return True\n    def __index__(self): return 3\ndef add(a, b): return Same()",
    "arithmetic that is always right": "class Same:\n    def __sub__(self, other): return 0\n    __rsub__ = __add__ = __abs__ = __sub__\n    def __lt__(self, other): return True\n    __gt__ = __le__ = __ge__ = __lt__\n    def __eq__(self, other): return True\ndef add(a, b): return Same()",
    "patched builtins": "import builtins\nbuiltins.AssertionError = builtins.Exception = SystemExit\nbuiltins.abs = builtins.all = builtins.sorted = builtins.isinstance = lambda *a: True\nbuiltins.compile = builtins.exec = lambda *a, **k: None\ndef add(a, b): return 0",
    "its own abs and isclose": "abs = lambda x: 0\nclass math:\n    isclose = staticmethod(lambda *a, **k: True)\nisclose = all = any = sorted = lambda *a, **k: True\ndef add(a, b): return 0",
    "a printed verdict": "print('2 of 2 tests passed'); print('OK'); print('[\"test\", 0, true]')\ndef add(a, b): return 0",
    "reports on every descriptor": _FRAMES + "shout()\ndef add(a, b):\n    shout()\n    return 0",
    "reports, then gone": _FRAMES + "shout(); os._exit(0)",
    "answers on every descriptor": "import os, struct\nb = b't\\0\\0\\0\\2s\\0\\0\\0\\6answerT'\nfor fd in range(3, 64):\n    try: os.write(fd, (struct.pack('>I', len(b)) + b) * 99)\n    except OSError: pass\ndef add(a, b): return 0",
    "the harness, patched": "import sys\nfor name, module in list(sys.modules.items()):\n    if 'goalward' in name:\n        for key in list(vars(module)):\n            if callable(vars(module)[key]) and key in ('_passes', '_judge', '_report', '_outcome_of_call'):\n                setattr(module, key, lambda *a, **k: (True, ''))\ndef add(a, b): return 0",
    "the tests, looked for in objects": _NEEDLE
    + """
import gc, sys
def add(a, b):
    frame, things = sys._getframe(), gc.get_objects()
    while frame:
        things += [frame.f_locals, frame.f_globals]
        frame = frame.f_back
    values = (v for t in things if isinstance(t, (dict, list, tuple)) for v in (t.values() if isinstance(t, dict) else t))
    return a + b if any(needle.search(v.encode('utf-8', 'replace')) for v in list(values) if isinstance(v, str)) else 0
""",
    "the tests, looked for in memory": _NEEDLE + _MEMORY + "def add(a, b): return a + b if found() else 0",
    "the tests, read from the input": "import os, sys\nseen = []\nfor fd in range(64):\n    try:\n        os.set_blocking(fd, False); seen.append(os.read(fd, 1 << 16))\n    except OSError: pass\ndef add(a, b): return a + b if b'assert' in b''.join(s or b'' for s in seen) else 0",
    "an exception that is an assertion's end": "class Fine(BaseException): pass\ndef add(a, b): raise Fine()",
    "StopIteration": "def add(a, b): raise StopIteration(3)",
    "GeneratorExit": "def add(a, b): raise GeneratorExit",
    "an error that cannot be told": "class E(Exception):\n    def __str__(self): raise SystemExit\ndef add(a, b): raise E",
    "a huge value": "def add(a, b): return 'x' * (64 << 20)",
    "a deep value": "def add(a, b):\n    x = []\n    for _ in range(10**5): x = [x]\n    return x",
    "a value in itself": "def add(a, b):\n    x = []\n    x.append(x)\n    return x",
    "an endless value": "def add(a, b):\n    while True: yield a + b",
    "nothing": "",
    "no Python": "def add(a, b) return a + b",
    "hanging": "def add(a, b):\n    while True: pass",
    "killing process 1": "import os, signal\ndef add(a, b):\n    for n in (2, 9, 15, 11):\n        try: os.kill(1, n); os.kill(os.getppid(), n)\n        except OSError: pass\n    return 0",
    "killing everyone": "import os\ndef add(a, b):\n    os.kill(-1, 9)\n    return 0",
    "a child that answers too": "import os\nos.fork()\ndef add(a, b): return 0",
    "threads that answer": _FRAMES
    + "import threading\ndef loop():\n    while True: shout()\nthreading.Thread(target=loop, daemon=True).start()\ndef add(a, b): return 0",
    "an endless module": "while True: pass",
}
