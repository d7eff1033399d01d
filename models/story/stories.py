"""Generates short stories from a grammar: the training text of `story`.

The text is generated here and belongs to the project. A random generator selects each part, so seeds that the training
did not use produce held-out stories. `[a|b]` in a sentence selects one of its alternatives.
"""
import re

PEOPLE = [("Anna", "girl"), ("Ben", "boy"), ("Clara", "girl"), ("David", "boy"), ("Emma", "girl"), ("Felix", "boy"),
          ("Greta", "girl"), ("Hugo", "boy"), ("Ida", "girl"), ("Jonas", "boy"), ("Lily", "girl"), ("Max", "boy"),
          ("Nina", "girl"), ("Oscar", "boy"), ("Rosa", "girl"), ("Tom", "boy"), ("Maria", "girl"), ("Paul", "boy"),
          ("Sara", "girl"), ("Leo", "boy")]
PRONOUNS = {"girl": ("she", "her", "her"), "boy": ("he", "his", "him")}
ANIMALS = ["dog", "cat", "rabbit", "bird", "fox", "frog", "mouse", "horse", "duck", "bear", "turtle", "hedgehog", "owl",
           "squirrel", "lion", "elephant"]
TRAITS = ["little", "brave", "kind", "quiet", "clever", "happy", "curious", "sleepy", "gentle", "funny"]
COLORS = ["red", "blue", "green", "yellow", "white", "brown", "golden", "grey"]
PLACES = ["garden", "forest", "park", "village", "meadow", "kitchen", "old barn", "river", "hill", "market", "lake",
          "school"]
THINGS = ["ball", "kite", "book", "boat", "hat", "lamp", "box", "key", "drum", "cup", "shell", "blanket", "basket"]
FOODS = ["apple", "cake", "bread", "soup", "pear", "cookie", "cheese", "carrot"]
WEATHER = ["sunny", "rainy", "windy", "cold", "warm", "snowy", "foggy", "bright"]
FEELINGS = ["sad", "tired", "scared", "lonely", "hungry", "cold", "worried"]
ENDS = ["happy", "proud", "glad", "calm", "thankful", "full of joy"]

OPENINGS = [
    "Once upon a time there was a {trait} {kind} named {name}.",
    "Once upon a time there was a {trait} {kind} [called|named] {name} who had a {color} {thing}.",
    "Once upon a time, [in a house by|not far from|near] the {place}, there lived a {kind} named {name}.",
    "{name} was a {trait} {kind} who lived near the {place}.",
    "There was a {kind} called {name}, and {he} had a {color} {thing}.",
    "{name} and {friend} were [best|very good|old] friends.",
    "In a house by the {place} lived a {trait} {kind} named {name} and {his} {animal}.",
]
TIMES = ["One day", "One morning", "Late one evening", "After lunch", "On a {weather} day", "Early in spring",
         "The next day"]
# A plot is an event and what follows it.
PLOTS = [
    ["a {trait} {animal} came to the {place} and looked very {feeling}.",
     "\"[Do you want|Would you like] some {food}?\" asked {name}.",
     "The {animal} ate the {food} and [smiled|was not {feeling} any more].",
     "Then they played [until the sun went down|together all day|by the {place}]."],
    ["{name} could not find {his} {thing}.",
     "{He} looked [under the bed|in the box] and behind the door, but the {thing} was not there.",
     "\"I can help you,\" said {friend}.",
     "Together they found the {thing} in the {place}, where the {animal} had hidden it."],
    ["{name} found a {color} {thing} in the {place}.",
     "It was very heavy, and {name} could not lift it.",
     "{He} called the {animal}, and the {animal} came [quickly|from the hill].",
     "They pulled and pulled, and at last it moved.", "[Inside|Under it] there was a {food}."],
    ["{name} gave {his} {thing} to {friend}.",
     "\"Thank you,\" said {friend}, \"it is so {color}!\"",
     "But then the wind took the {thing} away.", "The {animal} ran after it and brought it back."],
    ["it began to rain, and {name} was {feeling}.",
     "A {trait} {animal} showed {him} a dry place [under a tree|in the {place}].",
     "They sat there and told each other stories.", "When the rain stopped, the sky was {color}."],
    ["{name} wanted to make a {food} for the {animal}.",
     "{He} mixed the flour and the milk.", "\"Be careful, it is hot,\" said {friend}.",
     "The {food} smelled very good.", "They gave a big piece to the {animal}."],
    ["{name} saw a {trait} {animal} near the {place}.",
     "The {animal} was {feeling}, because it had lost its way.",
     "\"Do not be afraid,\" said {name}, \"I know the way.\"",
     "{name} took the {animal} home, and there was a [warm|big] {food} for everyone."],
    ["the {animal} wanted to [fly|swim|dance|sing] like the others.",
     "\"I am too small,\" it said.", "{name} said, \"Try again, and I will help you.\"",
     "It tried again and again, and [on the third day|at last] it could do it."],
    ["{name} went to the {place} to look for a {thing}.",
     "There {he} met a {animal} with a {color} {thing}.",
     "\"You can have it,\" said the {animal}, \"if you tell me a story.\"",
     "So {name} told a long story, and the {animal} laughed."],
]
ENDINGS = [
    "{name} was {end}.", "In the end {name} and {friend} were {end}.", "{name} went home and slept well.",
    "From that day on {name} and the {animal} were friends.", "And {name} never forgot that day.",
    "The {animal} was {end}, and so was {name}.",
]
LESSONS = ["It is good to share.", "A friend is the best gift.", "Small things can be great.",
           "It helps to ask for help.", "Being kind makes everyone glad.", "It pays to be patient.",
           "You never know until you try."]


def expand(pick, text, words):
    """Returns the text with one alternative of each [a|b] and the words in place of their names."""
    while "[" in text:
        text = re.sub(r"\[([^\[\]]*)\]", lambda m: pick.choice(m[1].split("|")), text)
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text.format(**words))


def words(pick, name=None, **given):
    """Returns the words of a story. Those that the caller does not give are selected."""
    name, kind = next(p for p in PEOPLE if p[0] == name) if name else pick.choice(
        [p for p in PEOPLE if given.get("kind") in (None, p[1])])
    he, his, him = PRONOUNS[kind]
    selected = {"trait": TRAITS, "color": COLORS, "place": PLACES, "thing": THINGS, "food": FOODS, "weather": WEATHER,
                "feeling": FEELINGS, "end": ENDS, "animal": ANIMALS,
                "friend": [p[0] for p in PEOPLE if p[0] != name]}
    result = {key: pick.choice(values) for key, values in selected.items()}
    result.update({k: v for k, v in given.items() if v}, name=name, kind=kind, he=he, He=he.capitalize(), his=his,
                  him=him)
    return result


def story(pick, chosen=None, plots=PLOTS):
    """Returns one story of four to nine sentences."""
    chosen = chosen or words(pick)
    plot = pick.choice(plots)
    parts = [pick.choice(OPENINGS), pick.choice(TIMES) + ", " + plot[0], *plot[1:], pick.choice(ENDINGS)]
    if pick.random() < 0.4:
        parts.append(pick.choice(LESSONS))
    return expand(pick, " ".join(parts), chosen)


def plots_with(*names):
    """Returns the plots in which the given words occur."""
    return [p for p in PLOTS if all("{" + n + "}" in " ".join(p) for n in names)]
