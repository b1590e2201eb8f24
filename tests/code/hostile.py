"""C that nobody would write, each in a process of its own: ``python -m tests.code.hostile`` prints what each came to.

A line of JSON for each: name, answer, seconds of CPU, megabytes that it took more than a file that says nothing.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable

BIG = 1_000_000  # bytes; a little less than is looked into
HEAD = "int f(struct mm_struct *mm, unsigned long a, struct page **p)\n{\n\tint ret;\n"
END = "\treturn 0;\n}\n"
PIN = "\tret = pin_user_pages(a, 1, FOLL_WRITE, p);\n"
RETRY = "\tret = get_user_pages_fast(a, 1, 0, p);\n\tif (ret == -EAGAIN)\n\t\tgoto "
CARD = """struct card { struct miscdevice misc; void *mem; dma_addr_t dma; bool gone; };
static vm_fault_t card_fault(struct vm_fault *vmf)
{
	struct card *c = vmf->vma->vm_private_data;
	return vmf_insert_pfn(vmf->vma, vmf->address, c->dma);
}
static const struct vm_operations_struct card_vm = { .fault = card_fault };
static int card_mmap(struct file *f, struct vm_area_struct *vma)
{
	struct card *c = f->private_data;
	vma->vm_ops = &card_vm;
	return remap_pfn_range(vma, vma->vm_start, c->dma, 1, vma->vm_page_prot);
}
static const struct file_operations card_fops = { .mmap = card_mmap };
"""
LETS_GO = "\tmisc_deregister(&c->misc);\n\tdma_free_coherent(d, 1, c->mem, c->dma);\n"
Attack = Callable[[], list[str]]


def repeated(unit: str, head: str = "", tail: str = "", size: int = BIG) -> bytes:
    return (head + unit * ((size - len(head) - len(tail)) // len(unit)) + tail).encode("latin-1")


def numbered(unit: str, head: str = "", tail: str = "", size: int = BIG) -> bytes:
    """``@`` is the number of each, ``@n`` that of the next."""
    parts, left, number = [head], size - len(head) - len(tail), 0
    while left > 0:
        parts.append(unit.replace("@n", str(number + 1)).replace("@", str(number)))
        left -= len(parts[-1])
        number += 1
    return "".join((*parts[:-1], tail)).encode()


def nested(opens: str, closes: str, head: str, tail: str, size: int = BIG) -> bytes:
    depth = (size - len(head) - len(tail)) // (len(opens) + len(closes))
    return (head + opens * depth + "x" + closes * depth + tail).encode()


def facts(make: Callable[[], bytes]) -> Attack:
    """What the index keeps of it."""

    def run() -> list[str]:
        from lorelint.code.harvest import harvest

        found = harvest(make())
        calls = sum(len(fn.calls) + len(fn.through) for fn in found.functions)
        rows = (found.functions, found.entries, found.assigned, found.handed, found.macros, found.members)
        return [" ".join(str(len(each)) for each in rows), f"{calls} calls", found.doubt]

    return run


def graphs(make: Callable[[], bytes]) -> Attack:
    """Its data, and the graphs and loops of its functions."""

    def run() -> list[str]:
        from lorelint.code.functions import functions
        from lorelint.code.loops import loops
        from lorelint.code.lower import lower
        from lorelint.code.macros import macros
        from lorelint.code.structs import structs
        from lorelint.code.tables import data

        raw = make()
        found = functions("a.c", raw)
        made = [lower(fn) for fn in found]
        unread = sum(bool(cfg.opaque) for cfg in made)
        held = (structs("a.c", raw), data("a.c", raw), macros("a.c", raw))
        rounds = sum(len(loops(cfg)) for cfg in made)
        return [
            f"{len(found)} functions, {unread} not all read",
            f"{rounds} loops",
            " ".join(str(len(e)) for e in held),
        ]

    return run


def judged(make: Callable[[], bytes]) -> Attack:
    """What all rules say of it."""

    def run() -> list[str]:
        from lorelint.jobs.scan import lone, scan
        from lorelint.report import json as page
        from lorelint.report.terminal import terminal
        from lorelint.rule.packs import load

        path = "drivers/ring/ring.c"
        report = scan(lone(path, make()), (path,), load())
        page.dump(page.document(report))
        terminal(report)
        cut = sum("steps there are" in each.text or "than are followed" in each.text for each in report.unseen)
        found = "some findings" if report.findings else "no finding"
        return [
            found,
            "a budget was spent" if cut else "all was followed",
            *(str(each) for each in report.failures[:2]),
        ]

    return run


def _each_other(count: int) -> bytes:
    calls = "".join(f"\tf{at}();\n" for at in range(count))
    return "".join(f"int f{at}(void)\n{{\n{calls}{END}" for at in range(count)).encode()


def _parameters(count: int) -> bytes:
    given = "".join(f"int a{at}, " for at in range(count))
    return f"int f({given}int z)\n{{\n{''.join(f'{chr(9)}a{at}();{chr(10)}' for at in range(count))}{END}".encode()


FILES: dict[str, Callable[[], bytes]] = {
    "rows that nothing opens": lambda: repeated("{},"),
    "functions without a head": lambda: repeated("a{}"),
    "open braces": lambda: repeated("{"),
    "open parentheses": lambda: repeated("("),
    "closing braces": lambda: repeated("}"),
    "hashes": lambda: repeated("#"),
    "conditionals that nothing ends": lambda: repeated("#if X\n"),
    "open comments": lambda: repeated("/* a "),
    "a string that does not end": lambda: repeated("a", HEAD + '\tg("'),
    "a name of a megabyte": lambda: repeated("a", HEAD + "\t", "();\n" + END),
    "a line of a megabyte": lambda: repeated("a = b; ", HEAD, "\n" + END),
    "a macro of a megabyte": lambda: repeated("\tfoo(a); \\\n", "#define M(a) \\\n", "\tx\n"),
    "a million blanks in a head": lambda: repeated(" ", "int __aligned", "f(void)\n{\n" + END),
    "initcalls without a semicolon": lambda: repeated("module_init(f)\n", "", "int f(void)\n{\n" + END),
    "system calls": lambda: numbered("SYSCALL_DEFINE2(f@, int, a, char *, b)\n{\n\treturn 0;\n}\n"),
    "fields set to a name": lambda: repeated("\ta->b = c;", HEAD, "\n" + END),
    "calls through pointers": lambda: numbered("\t(*f@)(a);\n", HEAD, END),
    "tables in a function": lambda: numbered("\tstruct ops x@ = { .f = g@ };\n", HEAD, END),
    "tables that do not end": lambda: repeated("struct a b = { .c = d, ", HEAD, END),
    "a table of many rows": lambda: numbered("\t{ .a = f@, .b = @ },\n", "static struct ops x[] = {\n", "};\n"),
    "members": lambda: numbered("\tstruct a@ *b@;\n\tint (*f@)(int a);\n", "struct x {\n", "};\n"),
    "functions each handed on": lambda: numbered("static int f@(void)\n{\n\treg(f@n);\n\treturn 0;\n}\n"),
    "one function handed on everywhere": lambda: numbered(
        "int f@(void)\n{\n\treg(g, g, g);\n\treturn 0;\n}\n", "static int g(void)\n{\n\treturn 0;\n}\n"
    ),
    "functions of one name": lambda: repeated("static int f(int a)\n{\n\tg(f);\n\treturn f(a);\n}\n"),
    "functions that all call each other": lambda: _each_other(280),
    "parameters that are called": lambda: _parameters(45_000),
}
BODIES: dict[str, Callable[[], bytes]] = {
    "case without a colon": lambda: repeated("case ...", HEAD, END),
    "parentheses without end": lambda: nested("(", ")", HEAD + "\tret = ", ";\n" + END),
    "blocks without end": lambda: nested("if (a) {\n", "}\n", HEAD, ";\n" + END),
    "conditions without end": lambda: nested("a ? b : ", "", HEAD + "\tret = ", ";\n" + END),
    "commas without end": lambda: nested("a, ", "", HEAD + "\tret = ", ";\n" + END),
    "else after else": lambda: nested("if (a) b(); else ", "", HEAD, ";\n" + END, BIG // 16),
    "statement expressions": lambda: nested("({ ", ";})", HEAD + "\tret = ", ";\n" + END),
    "labels of labels": lambda: nested("l: ", "", HEAD, ";\n" + END),
    "members of members": lambda: nested("a->", "", HEAD + "\tret = ", ";\n" + END),
    "structures in structures": lambda: nested("struct {\nint a;\n", "} b;\n", "struct x {\nint ", ";\n};\n"),
    "statements": lambda: numbered("\ta@ = b + @;\n", HEAD, END),
    "declarators": lambda: numbered(" b@ = @,", HEAD + "\tint ", " z;\n" + END),
    "cases": lambda: numbered("\tcase @:\n\t\tg();\n\t\tbreak;\n", HEAD + "\tswitch (a) {\n", "\t}\n" + END, BIG // 4),
    "loops in loops": lambda: repeated("while (g(a)) {\n" * 90 + "h();\n" + "}\n" * 90, HEAD, END, BIG // 4),
    "gotos back to the first label": lambda: numbered("l@:\n\tif (g(@))\n\t\tgoto l0;\n", HEAD, END, BIG // 4),
}
JUDGED: dict[str, Callable[[], bytes]] = {
    "one function of many pins": lambda: numbered(PIN.replace("p);", "&p[@]);"), HEAD, END, 1 << 15),
    "pins that go to one end": lambda: repeated(
        PIN + "\tif (ret < 0)\n\t\tgoto out;\n", HEAD, "out:\n\tunpin_user_pages(p, 1);\n" + END, 1 << 15
    ),
    "many functions of many pins": lambda: numbered(
        HEAD.replace("int f(", "int f@(") + PIN * 100 + END, size=1 << 18
    ),
    "retries in one function": lambda: numbered(f"again@:\n{RETRY}again@;\n", HEAD, END, 1 << 15),
    "functions that retry": lambda: numbered(
        HEAD.replace("int f(", "int f@(") + f"again:\n{RETRY}again;\n" + END, size=1 << 16
    ),
    "registrations let go of": lambda: repeated(
        LETS_GO, CARD + "void card_remove(struct card *c)\n{\n", "}\n", 1 << 18
    ),
    "functions that let go": lambda: numbered(
        f"void card_remove@(struct card *c)\n{{\n{LETS_GO}}}\n", CARD, size=1 << 17
    ),
    "switches that refuse": lambda: numbered(
        "static int o@(struct card *c)\n{\n\tif (c->a@)\n\t\treturn -EIO;\n\treturn 0;\n}\n"
        "void r@(struct card *c)\n{\n\tc->a@ = true;\n}\n",
        CARD,
    ),
    "look-ups of areas": lambda: repeated(
        "\tmmap_read_lock(mm);\n\tvma = find_vma(mm, a);\n\tif (!vma)\n\t\tgoto out;\n\tmmap_read_unlock(mm);\n",
        HEAD.replace("{\n", "{\n\tstruct vm_area_struct *vma;\n"), "out:\n" + END, 1 << 15,
    ),
}  # fmt: skip
ATTACKS: dict[str, Attack] = (
    {name: facts(make) for name, make in FILES.items()}
    | {name: graphs(make) for name, make in BODIES.items()}
    | {name: judged(make) for name, make in JUDGED.items()}
)


def measured(name: str) -> dict[str, object]:
    """One attack in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        resource.setrlimit(resource.RLIMIT_CPU, (60, 61))
        started = time.process_time()
        try:
            told = ATTACKS[name]()
        except BaseException as error:
            told = [f"raised {type(error).__name__}: {str(error)[:200]}"]
        spent = time.process_time() - started
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
        with os.fdopen(writing, "w") as pipe:
            json.dump({"name": name, "told": told, "seconds": round(spent, 2), "megabytes": grown}, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, how = os.waitpid(child, 0)
    ended = {"name": name, "told": [f"ended by signal {os.WTERMSIG(how)}"], "seconds": 60.0, "megabytes": 0}
    found: dict[str, object] = json.loads(text) if text else ended
    return found


if __name__ == "__main__":
    import sys

    for each in sys.argv[1:] or ATTACKS:
        print(json.dumps(measured(each)), flush=True)
