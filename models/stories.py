"""Generates short stories from a grammar: the training text of `story` and `embed`.

The text is generated here and belongs to the project. A random generator selects a story, so seeds that the training
did not use produce held-out stories. There are about 10^15 different stories.
"""
import random

PEOPLE = [("Anna", "girl", "she", "her"), ("Ben", "boy", "he", "his"), ("Clara", "girl", "she", "her"),
          ("David", "boy", "he", "his"), ("Emma", "girl", "she", "her"), ("Felix", "boy", "he", "his"),
          ("Greta", "girl", "she", "her"), ("Hugo", "boy", "he", "his"), ("Ida", "girl", "she", "her"),
          ("Jonas", "boy", "he", "his"), ("Lily", "girl", "she", "her"), ("Max", "boy", "he", "his"),
          ("Nina", "girl", "she", "her"), ("Oscar", "boy", "he", "his"), ("Rosa", "girl", "she", "her"),
          ("Tom", "boy", "he", "his")]
ANIMALS = ["dog", "cat", "rabbit", "bird", "fox", "frog", "mouse", "horse", "duck", "bear", "turtle", "hedgehog"]
TRAITS = ["little", "brave", "kind", "quiet", "clever", "happy", "curious", "sleepy", "gentle", "funny"]
COLOURS = ["red", "blue", "green", "yellow", "white", "brown", "golden", "grey"]
PLACES = ["garden", "forest", "park", "village", "meadow", "kitchen", "old barn", "river", "hill", "market", "lake"]
THINGS = ["ball", "kite", "book", "boat", "hat", "lamp", "box", "key", "drum", "cup", "shell", "blanket", "basket"]
FOOD = ["apple", "cake", "bread", "soup", "pear", "cookie", "cheese", "carrot"]
WEATHER = ["sunny", "rainy", "windy", "cold", "warm", "snowy", "foggy", "bright"]
FEELINGS = ["sad", "tired", "scared", "lonely", "hungry", "cold", "worried"]
GOOD = ["happy", "proud", "glad", "calm", "thankful", "full of joy"]
TIMES = ["One day", "One morning", "Late one evening", "After lunch", "On a {weather} day", "Early in spring"]
LESSONS = ["It is good to share.", "A friend is the best gift.", "Small things can be great.",
           "It helps to ask for help.", "Being kind makes everyone glad.", "It pays to be patient.",
           "You never know until you try."]


def story(seed):
    """Returns one story of four to eight sentences."""
    pick = random.Random(seed)
    name, kind, he, his = pick.choice(PEOPLE)
    friend = pick.choice([p[0] for p in PEOPLE if p[0] != name])
    word = {"name": name, "kind": kind, "he": he, "He": he.capitalize(), "his": his, "friend": friend,
            "animal": pick.choice(ANIMALS), "trait": pick.choice(TRAITS), "colour": pick.choice(COLOURS),
            "place": pick.choice(PLACES), "thing": pick.choice(THINGS), "food": pick.choice(FOOD),
            "weather": pick.choice(WEATHER), "feeling": pick.choice(FEELINGS), "good": pick.choice(GOOD)}
    parts = [pick.choice(OPENINGS), pick.choice(TIMES) + ", " + pick.choice(EVENTS)]
    plot = pick.choice(PLOTS)
    parts += plot[:2] if pick.random() < 0.3 else plot
    parts.append(pick.choice(ENDINGS))
    if pick.random() < 0.5:
        parts.append(pick.choice(LESSONS))
    return " ".join(parts).format(**word)


OPENINGS = [
    "Once upon a time there was a {trait} {kind} named {name}.",
    "{name} was a {trait} {kind} who lived near the {place}.",
    "There was a {kind} called {name}, and {he} had a {colour} {thing}.",
    "{name} and {friend} were best friends.",
    "In a house by the {place} lived a {trait} {kind} named {name} and {his} {animal}.",
]
EVENTS = [
    "{name} went to the {place} to play.",
    "{name} found a {colour} {thing} in the {place}.",
    "{name} saw a {trait} {animal} near the {place}.",
    "{name} could not find {his} {thing}.",
    "{name} wanted to make a {food} for {friend}.",
    "a {trait} {animal} came to the {place} and looked very {feeling}.",
]
PLOTS = [
    ["The {animal} was {feeling}.", "\"Do you want some {food}?\" asked {name}.",
     "The {animal} ate the {food} and smiled.", "Then they played until the sun went down."],
    ["{He} looked under the bed and behind the door.", "But the {thing} was not there.",
     "\"I can help you,\" said {friend}.", "Together they found the {thing} in the {place}."],
    ["It was very heavy, and {name} could not lift it.", "{He} called {friend}, and {friend} came at once.",
     "They pulled and pulled, and at last it moved.", "Inside there was a {colour} {food}."],
    ["{name} gave the {thing} to {friend}.", "\"Thank you,\" said {friend}, \"it is so {colour}!\"",
     "But then the wind took the {thing} away.", "The {animal} ran after it and brought it back."],
    ["It began to rain, and {name} was {feeling}.", "A {trait} {animal} showed {name} a dry place.",
     "They sat there and told each other stories.", "When the rain stopped, the sky was {colour}."],
    ["{He} mixed the flour and the milk.", "\"Be careful, it is hot,\" said {friend}.",
     "The {food} smelled very good.", "They ate it all and gave a piece to the {animal}."],
]
ENDINGS = [
    "{name} was {good}.", "In the end {name} and {friend} were {good}.", "{name} went home and slept well.",
    "From that day on {name} and the {animal} were friends.", "And {name} never forgot that day.",
]


def stories(first_seed, count):
    return [story(first_seed + i) for i in range(count)]
