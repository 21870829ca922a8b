/* The loops over the bytes that are passed on, as `scan.py` describes them.
 *
 * Nothing is decided here that is not decided elsewhere, too, where this is not compiled: what is
 * out of the ordinary ends a loop and goes the long way. The loops know no Python objects, only
 * bytes between two pointers; what they give is allocated once, when its size is known.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

typedef const unsigned char *Bytes;

#define SIZE_DIGITS_MAX 7 /* a size fits into 32 bits, and so does its sum with a line end */

/* The bytes of `data` from `at` on. 0: an error is set. */
static int
read_rest(PyObject *data, PyObject *at, Bytes *begin, Bytes *end)
{
    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "data must be bytes");
        return 0;
    }
    Py_ssize_t offset = PyLong_AsSsize_t(at);
    if (offset == -1 && PyErr_Occurred())
        return 0;
    if (offset < 0 || offset > PyBytes_GET_SIZE(data)) {
        PyErr_SetString(PyExc_ValueError, "at must lie within data");
        return 0;
    }
    *begin = (Bytes)PyBytes_AS_STRING(data) + offset;
    *end = (Bytes)PyBytes_AS_STRING(data) + PyBytes_GET_SIZE(data);
    return 1;
}

static int
hex_digit(unsigned char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20; /* upper case to lower */
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* A chunk as far as it is there. */
typedef struct {
    Bytes content; /* NULL: no plain size line stands there, or 0 */
    size_t size;
    Py_ssize_t missing; /* see `whole_chunks` */
} Chunk;

static Chunk
chunk_at(Bytes at, Bytes end)
{
    Chunk chunk = {NULL, 0, 0};
    Bytes digits = at;
    int digit;

    while (at < end && at - digits < SIZE_DIGITS_MAX && (digit = hex_digit(*at)) >= 0) {
        chunk.size = chunk.size * 16 + (size_t)digit;
        at++;
    }
    if (at == digits)
        return chunk;
    if (at == end || (*at == '\r' && at + 1 == end)) {
        chunk.missing = -1;
        return chunk;
    }
    if (at[0] != '\r' || at[1] != '\n' || chunk.size == 0)
        return chunk;
    chunk.content = at + 2;
    size_t there = (size_t)(end - chunk.content), wanted = chunk.size + 2;
    if (there < wanted)
        chunk.missing = (Py_ssize_t)(wanted - there);
    return chunk;
}

static int
is_whole(const Chunk *chunk)
{
    if (chunk->content == NULL || chunk->missing != 0)
        return 0;
    return memcmp(chunk->content + chunk->size, "\r\n", 2) == 0;
}

static PyObject *
whole_chunks(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Bytes begin, end;

    (void)module;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "whole_chunks takes 2 arguments");
        return NULL;
    }
    if (!read_rest(args[0], args[1], &begin, &end))
        return NULL;

    Bytes at = begin;
    Py_ssize_t total = 0;
    Chunk chunk;
    while (chunk = chunk_at(at, end), is_whole(&chunk)) {
        total += (Py_ssize_t)chunk.size;
        at = chunk.content + chunk.size + 2;
    }
    Py_ssize_t missing = chunk.missing, taken = at - begin;

    PyObject *joined = PyBytes_FromStringAndSize(NULL, total);
    if (joined == NULL)
        return NULL;
    char *out = PyBytes_AS_STRING(joined);
    for (Bytes again = begin; again < at; again = chunk.content + chunk.size + 2) {
        chunk = chunk_at(again, end);
        memcpy(out, chunk.content, chunk.size);
        out += chunk.size;
    }
    return Py_BuildValue("(Nnn)", joined, PyLong_AsSsize_t(args[1]) + taken, missing);
}

/* The size of an escape as `codec.encode` spells it; 0: it is none of those, or cut. */
static size_t
escape_size(Bytes at, Bytes end)
{
    size_t there = (size_t)(end - at);
    if (there >= 2 && at[1] != '\0' && strchr("\"\\bfnrt", at[1]) != NULL)
        return 2;
    if (there < 6 || memcmp(at, "\\u00", 4) != 0)
        return 0;
    if (at[4] == '0' && at[5] != '\0' && strchr("01234567bef", at[5]) != NULL)
        return 6; /* the others below 0x10 have escapes of two letters */
    if (at[4] == '1' && at[5] != '\0' && strchr("0123456789abcdef", at[5]) != NULL)
        return 6;
    return 0;
}

/* The size in UTF-8 of a character that is not ASCII (RFC 3629); 0: it is none, or cut. */
static size_t
wide_size(Bytes at, Bytes end)
{
    unsigned char lead = at[0], low = 0x80, high = 0xBF;
    size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;

    if (lead < 0xC2 || lead > 0xF4 || (size_t)(end - at) < size)
        return 0;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED) /* surrogates lie above */
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    }
    return size;
}

/* A text: where its closing quote stands, and what it is once decoded. */
typedef struct {
    Bytes end; /* NULL: it is cut, or spelled in another way */
    size_t chars, utf8;
} Text;

static Text
text_at(Bytes at, Bytes end)
{
    Text text = {NULL, 0, 0};

    while (at < end && *at != '"') {
        size_t size = 1, utf8 = 1;
        if (*at == '\\')
            size = escape_size(at, end);
        else if (*at >= 0x80)
            size = utf8 = wide_size(at, end);
        else if (*at < 0x20)
            size = 0;
        if (size == 0)
            return text;
        at += size;
        text.chars++;
        text.utf8 += utf8;
    }
    if (at < end)
        text.end = at;
    return text;
}

/* What stands before and after a text. */
typedef struct {
    const char *before, *after;
    Py_ssize_t before_size, after_size;
} Frame;

static int
read_frame(PyObject *const *args, Frame *frame)
{
    if (!PyBytes_Check(args[0]) || !PyBytes_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "a frame must be bytes");
        return 0;
    }
    frame->before = PyBytes_AS_STRING(args[0]);
    frame->before_size = PyBytes_GET_SIZE(args[0]);
    frame->after = PyBytes_AS_STRING(args[1]);
    frame->after_size = PyBytes_GET_SIZE(args[1]);
    return 1;
}

static int
starts_with(Bytes at, Bytes end, const char *prefix, Py_ssize_t size)
{
    return end - at >= size && memcmp(at, prefix, (size_t)size) == 0;
}

static char *
put(char *out, const void *bytes, Py_ssize_t size)
{
    memcpy(out, bytes, (size_t)size);
    return out + size;
}

#define TEXTS_MAX 512 /* at once; the caller comes again for more */
#define FRAME_BYTES_MAX (PY_SSIZE_T_MAX / TEXTS_MAX / 4) /* so many of them are a size, still */

/* Texts from `at` on, `raw` bytes in sum, in another frame. */
static PyObject *
framed(Bytes at, const Bytes *ends, Py_ssize_t count, Py_ssize_t raw, const Frame *from,
       const Frame *to)
{
    if (to->before_size > FRAME_BYTES_MAX || to->after_size > FRAME_BYTES_MAX ||
        raw > PY_SSIZE_T_MAX / 2)
        return PyErr_NoMemory();
    Py_ssize_t size = raw + count * (to->before_size + to->after_size);
    PyObject *sent = PyBytes_FromStringAndSize(NULL, size);
    if (sent == NULL)
        return NULL;
    char *out = PyBytes_AS_STRING(sent);
    for (Py_ssize_t i = 0; i < count; i++) {
        at += from->before_size;
        out = put(out, to->before, to->before_size);
        out = put(out, at, ends[i] - at);
        out = put(out, to->after, to->after_size);
        at = ends[i] + from->after_size;
    }
    return sent;
}

static PyObject *
texts(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Bytes begin, end, ends[TEXTS_MAX];
    Frame from, to;

    (void)module;
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "texts takes 6 arguments");
        return NULL;
    }
    if (!read_rest(args[0], args[1], &begin, &end) || !read_frame(args + 2, &from) ||
        !read_frame(args + 4, &to))
        return NULL;

    Bytes at = begin;
    Py_ssize_t found = 0, raw = 0, chars = 0, utf8 = 0;
    while (found < TEXTS_MAX && starts_with(at, end, from.before, from.before_size)) {
        Bytes start = at + from.before_size;
        Text text = text_at(start, end);
        if (text.chars == 0 || text.end == NULL ||
            !starts_with(text.end, end, from.after, from.after_size))
            break;
        raw += text.end - start;
        chars += (Py_ssize_t)text.chars;
        utf8 += (Py_ssize_t)text.utf8;
        ends[found++] = text.end;
        at = text.end + from.after_size;
    }
    if (found == 0)
        Py_RETURN_NONE;
    PyObject *sent = framed(begin, ends, found, raw, &from, &to);
    if (sent == NULL)
        return NULL;
    return Py_BuildValue("(Nnnn)", sent, PyLong_AsSsize_t(args[1]) + (at - begin), chars, utf8);
}

/* How many bytes are of each kind, see `kinds`. */
typedef struct {
    Py_ssize_t letters, wide, other, rest, escapes;
} Kinds;

#define BLOCK_BYTES 255 /* what is counted in it fits into a byte, and so into a vector's lane */

/* `escapes` looks one byte beyond the block, unless that is the end. Each loop does so little that
 * compilers make it take sixteen bytes at a time. */
static void
count_block(Bytes at, Py_ssize_t size, int more, Kinds *kinds)
{
    unsigned char letters = 0, wide = 0, high = 0, rest = 0, escapes = 0, any = 0;

    for (Py_ssize_t i = 0; i < size; i++) {
        unsigned char lower = (unsigned char)((at[i] | 0x20) - 'a');
        letters += (unsigned char)((lower < 26) + (at[i] == ' '));
        any |= at[i];
    }
    for (Py_ssize_t i = 0; i < size - !more; i++)
        escapes += (unsigned char)((at[i] == '\\') & (at[i + 1] == 'u'));
    kinds->letters += letters;
    kinds->escapes += escapes;
    if (any < 0x80)
        return;
    for (Py_ssize_t i = 0; i < size; i++) {
        wide += (unsigned char)(at[i] - 0xE3) < 11;
        high += at[i] >= 0xC0;
        rest += at[i] >= 0x80;
    }
    kinds->wide += wide;
    kinds->other += high - wide;
    kinds->rest += rest - high;
}

static PyObject *
kinds(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t given[3];
    Kinds found = {0, 0, 0, 0, 0};

    (void)module;
    if (count != 4) {
        PyErr_SetString(PyExc_TypeError, "kinds takes 4 arguments");
        return NULL;
    }
    if (!PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "data must be bytes");
        return NULL;
    }
    Bytes at = (Bytes)PyBytes_AS_STRING(args[0]), end = at + PyBytes_GET_SIZE(args[0]);
    for (int i = 0; i < 3; i++) {
        given[i] = PyLong_AsSsize_t(args[i + 1]);
        if (given[i] == -1 && PyErr_Occurred())
            return NULL;
        if (given[i] < 0) {
            PyErr_SetString(PyExc_ValueError, "windows have no negative sizes");
            return NULL;
        }
    }
    Py_ssize_t width = given[0], step = given[1];
    for (; given[2] > 0 && end - at >= width; given[2]--) {
        for (Py_ssize_t done = 0; done < width; done += BLOCK_BYTES) {
            Py_ssize_t left = width - done;
            int more = left > BLOCK_BYTES;
            count_block(at + done, more ? BLOCK_BYTES : left, more, &found);
        }
        if (end - at < step)
            break;
        at += step;
    }
    return Py_BuildValue("(nnnnn)", found.letters, found.wide, found.other, found.rest,
                         found.escapes);
}

/* `strstr` looks at many bytes in one step, where `bytes.find` goes from byte to byte. */
static PyObject *
contains(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    if (count != 2 || !PyBytes_Check(args[0]) || !PyBytes_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "contains takes two bytes objects");
        return NULL;
    }
    /* There is a zero behind all bytes objects. */
    char *found = strstr(PyBytes_AS_STRING(args[0]), PyBytes_AS_STRING(args[1]));
    return PyBool_FromLong(found != NULL);
}

static PyMethodDef methods[] = {
    {"contains", (PyCFunction)(void (*)(void))contains, METH_FASTCALL, NULL},
    {"kinds", (PyCFunction)(void (*)(void))kinds, METH_FASTCALL, NULL},
    {"whole_chunks", (PyCFunction)(void (*)(void))whole_chunks, METH_FASTCALL, NULL},
    {"texts", (PyCFunction)(void (*)(void))texts, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}}; /* there is no state */

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_scan",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__scan(void)
{
    return PyModuleDef_Init(&definition);
}
