"""Small text files that are there whole or not at all."""
import json
import os

from deployment.errors import UserError


def write_atomically(path, text):
    """Writes a text file under another name first, so that no half of it is ever seen."""
    partial = f'{path}.{os.getpid()}.partial'
    try:
        with open(partial, 'w', encoding='utf-8') as file:
            file.write(text)
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def write_json(path, content):
    """Writes what `json` can, indented."""
    write_atomically(path, json.dumps(content, indent=2) + '\n')


def read_json(path, advice):
    """The content of a JSON file, None where there is none; UserError with the advice where it is broken."""
    if not os.path.exists(path):
        return None
    try:
        with open(path, encoding='utf-8') as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise UserError(f'{path} cannot be read ({error}); {advice}') from error
