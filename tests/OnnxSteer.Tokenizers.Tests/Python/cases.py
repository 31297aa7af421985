"""Writes expressions that Jinja takes from Python, each with what Python prints of it: python3 cases.py > cases.jsonl (Python 3.11)."""
import random, json
random.seed(7)
out=[]
def case(e):
    try: v=str(eval(e,{}))
    except Exception: return
    out.append((e,v))
alpha=list("abcXYZ019 ,.-_'\"\\\t\n")+["é","ß","Σ","σ","ﬁ","İ","ǆ","😀","中","\u00a0","\u200b","\u2028","²","Ⅷ","१","ŉ","\x1c","ά"]
def s(n=8): return "".join(random.choice(alpha) for _ in range(random.randint(0,n)))
def lit(x): return json.dumps(x,ensure_ascii=True) if all(ord(c)<0x10000 for c in x) else "'"+"".join('\\U%08x'%ord(c) if ord(c)>0xffff else ('\\u%04x'%ord(c)) for c in x)+"'"
import struct
for _ in range(400):
    k=random.random()
    f=struct.unpack('d',struct.pack('Q',random.getrandbits(64)))[0] if k<.4 else random.uniform(-1e6,1e6) if k<.7 else round(random.uniform(-100,100),2)*10**random.randint(-8,20)
    if f!=f or f in(float('inf'),float('-inf')): continue
    if abs(f)>1e300: continue
    r=repr(f)
    case(r if not r.startswith('-') else f"(0 - {r[1:]})")
    p=random.randint(0,8)
    if abs(f)<1e30: case(f"'%.{p}f' % {repr(abs(f))}")
    case(f"'%.{p}e' % {repr(abs(f))}"); case(f"'%g' % {repr(abs(f))}"); case(f"'%.{p}g' % {repr(abs(f))}")
for _ in range(300):
    a,b=random.randint(-30,30),random.choice([-7,-3,-2,2,3,5,2.5,-0.5])
    for op in "+ - * / // %".split(): case(f"({a}) {op} ({b})")
    case(f"({a}) ** {abs(b) if isinstance(b,int) else 2}")
for _ in range(500):
    x=s(); l=lit(x)
    case(f"[{l}]")
    i,j,k=[random.choice(["",*map(str,range(-6,7))]) for _ in range(3)]
    if k=="0":k="1"
    case(f"[{l}[{i}:{j}:{k}]]"); case(f"[{l}[{i}:{j}]]")
    for m in ["upper","lower","title","capitalize","swapcase","strip","lstrip","rstrip","split","rsplit","splitlines","isdigit","isalpha","isalnum","isspace","islower","isupper","istitle","isnumeric","isdecimal","isidentifier","casefold"]:
        case(f"[{l}.{m}()]")
    y=s(2); n=lit(y); w=random.randint(0,12)
    case(f"{l}.split({n})"); case(f"{l}.rsplit({n}, {random.randint(0,3)})"); case(f"{l}.split({n}, {random.randint(0,3)})"); case(f"{l}.split(None, {random.randint(0,2)})"); case(f"{l}.rsplit(None, {random.randint(0,2)})")
    case(f"{l}.partition({n})"); case(f"{l}.rpartition({n})"); case(f"{l}.find({n})"); case(f"{l}.rfind({n})"); case(f"{l}.count({n})"); case(f"[{l}.replace({n}, '<>')]"); case(f"[{l}.replace({n}, '<>', {random.randint(0,2)})]")
    case(f"[{l}.strip({n})]"); case(f"{l}.startswith({n})"); case(f"{l}.endswith({n})"); case(f"[{l}.center({w})]"); case(f"[{l}.ljust({w}, '*')]"); case(f"[{l}.rjust({w})]"); case(f"[{l}.zfill({w})]"); case(f"[{l}.removeprefix({n})]"); case(f"{l} < {n}"); case(f"{n} in {l}"); case(f"[{l} * 2]"); case(f"['%r %s' % ({l}, {n})]"); case(f"['{{:>{w}}}|{{:^{w}}}|{{:<{w}}}|{{!r}}'.format({l}, {l}, {l}, {l})]"); case(f"[{l}.splitlines(True)]")
    z=random.randint(-99999,9999999)
    case(f"'{{:,}} {{:08d}} {{:+d}} {{:x}} {{:.3f}} {{:e}}'.format({abs(z)}, {abs(z)}, {abs(z)}, {abs(z)}, {abs(z)/7!r}, {abs(z)/7!r})"); case(f"'%5d|%-8d|%08d|%+d|%x|%o' % ({abs(z)}, {abs(z)}, {abs(z)}, {abs(z)}, {abs(z)}, {abs(z)})")
for e,v in list(dict.fromkeys(out))[::15]:
    print(json.dumps([e,v]))
