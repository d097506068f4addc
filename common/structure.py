"""Check of the structure of JSON content, which anybody may have written."""


def has_structure(content, template):
    """Return whether JSON content has the structure of a template.

    Args:
        content: the content of a JSON file.
        template: a type, or a tuple of types; [template of every item] for a list; {key: template}
            for a dict that has at least these keys; {str: template of every value} for a dict with
            any keys.
    """
    if isinstance(template, list):
        return isinstance(content, list) and all(
            has_structure(item, template[0]) for item in content)
    if not isinstance(template, dict):
        return isinstance(content, template)
    if not isinstance(content, dict):
        return False
    if str in template:
        return all(has_structure(value, template[str]) for value in content.values())
    return all(key in content and has_structure(content[key], value_template)
               for key, value_template in template.items())
