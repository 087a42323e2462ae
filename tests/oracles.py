"""Slow solvers that share no code with the project."""
import re


def length_answer(task, query):
    """(answer, T) of a query of Fan et al. 2025, both lists of symbols, as the authors' code has it."""
    text, n = ''.join(query), len(query)
    if task == 'parity':
        odd = False
        for bit in query:
            odd = odd != (bit == '1')
        return ['1' if odd else '0'], n
    if task == 'copy':
        return query, n
    if task == 'binary_addition':  # most significant bit first, the leading 0 kept
        a, b = text.split('+')
        assert len(a) == len(b)
        return list(f'{int(a, 2) + int(b, 2):0{len(a) + 1}b}'), len(a)
    if task == 'binary_sum':  # least significant bit first; nothing where there is no one
        rest, bits = sum(bit == '1' for bit in query), []
        while rest:
            rest, bit = divmod(rest, 2)
            bits.append(str(bit))
        return bits, n
    if task == 'multiplication':  # operands most significant bit first, the product least significant first
        a, b = text.split('*')
        product = int(a, 2) * int(b, 2)
        return [str(product >> place & 1) for place in range(len(a) + len(b))], len(a) * len(b)
    if task == 'unique_set':
        different = []
        for symbol in query:
            if symbol not in different:
                different.append(symbol)
        return different, n


def by_the_text(text):
    """The answer by rewriting the text as Python and running lines until every name is known."""
    *lines, question = [part.strip() for part in text.rstrip('?').split('.')]
    values = {}
    while question not in values:
        before = len(values)
        for line in lines:
            name, right = line.split(' := ')
            scaled = re.match(r'(\d) \* (.*)', right)
            code = f'{scaled[1]} * ({scaled[2]})' if scaled else right
            names = re.findall(r'[A-P]#[A-P]', code)
            if all(each in values for each in names):
                for each in names:
                    code = code.replace(each, str(values[each]))
                values[name] = eval(code) % 7
        if len(values) == before:
            raise ValueError('stuck')
    return values[question]
