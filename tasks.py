"""The dict of all tasks, and how a configuration becomes one; a task's file is imported when it is asked for.

A new task is one file in problems/, one line here, one configuration. Its class is a dataclass whose fields
are its options; problems/task.py says what else it has.
"""
from dataclasses import fields
from importlib import import_module

TASKS = {
    'phop': 'problems.phop:PHop',
    'addition': 'problems.addition:Addition',
    'igsm': 'problems.igsm:IGSM',
    'group': 'problems.group:Group',
    'variables': 'problems.variables:Variables',
    'parity': 'problems.lengths:Parity',
    'copy': 'problems.lengths:Copy',
    'binary_addition': 'problems.lengths:BinaryAddition',
    'binary_sum': 'problems.lengths:BinarySum',
    'multiplication': 'problems.lengths:Multiplication',
    'unique_set': 'problems.lengths:UniqueSet',
    'tokens': 'problems.text:TokenTask',
}


def task_class(name: str) -> type:
    """The class of a task of the dict."""
    module, class_name = TASKS[name].split(':')
    return getattr(import_module(module), class_name)


def option_names(cls: type) -> list[str]:
    """The options of a task's class."""
    return [field.name for field in fields(cls)]


def make_task(config):
    """The task of a training configuration (any object with a field `task` and that task's options)."""
    cls = task_class(config.task)
    options = {name: getattr(config, name) for name in option_names(cls)}
    return cls(**options)


def takers(option: str) -> list[str]:
    """The names of the tasks that have an option; for error messages, since it imports all tasks."""
    names = []
    for name in TASKS:
        cls = task_class(name)
        if option in option_names(cls):
            names.append(name)
    return names
