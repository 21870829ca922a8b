/* The byte loops of a stream that is passed on, as `scan.py` describes them.
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

static PyMethodDef methods[] = {
    {"whole_chunks", (PyCFunction)(void (*)(void))whole_chunks, METH_FASTCALL, NULL},
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
