"""Slow solvers that share no code with the project."""
import re


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
