"""Generates conversations: requests for stories, greetings, simple questions, and questions the model cannot answer.

A conversation is a list of (role, text). Every answer is written here; nothing is taken from elsewhere.
"""
from stories import ANIMALS, COLORS, FEELINGS, PEOPLE, PLACES, THINGS, expand, plots_with, story, words

SYSTEMS = ["You are a helpful assistant.", "You tell stories to children.", "You are a friendly assistant.",
           "Answer shortly.", "You are a small story model.", "Be kind and brief."]
SOUNDS = {"dog": "Woof", "cat": "Meow", "cow": "Moo", "duck": "Quack", "sheep": "Baa", "horse": "Neigh",
          "frog": "Ribbit", "mouse": "Squeak", "lion": "Roar", "owl": "Hoot", "bee": "Buzz", "pig": "Oink"}
LOOKS = {"the sky": "blue", "grass": "green", "snow": "white", "the sun": "yellow", "a banana": "yellow",
         "a tomato": "red", "a carrot": "orange", "coal": "black", "milk": "white", "a leaf": "green",
         "a lemon": "yellow", "a strawberry": "red", "a cucumber": "green", "chocolate": "brown", "the sea": "blue"}
HOMES = {"bird": "in a nest", "fox": "in a den", "bee": "in a hive", "fish": "in the water", "bear": "in a cave",
         "rabbit": "in a burrow", "horse": "in a stable", "spider": "in a web", "frog": "near a pond",
         "squirrel": "in a tree", "owl": "in a tree", "lion": "in Africa"}
YOUNG = {"dog": "puppy", "cat": "kitten", "cow": "calf", "horse": "foal", "sheep": "lamb", "duck": "duckling",
         "frog": "tadpole", "bear": "cub", "goose": "gosling", "hen": "chick", "pig": "piglet", "goat": "kid"}
LEGS = {"dog": "four", "bird": "two", "spider": "eight", "ant": "six", "bee": "six", "cat": "four", "horse": "four",
        "duck": "two", "snake": "no", "fish": "no", "cow": "four", "mouse": "four"}
OPPOSITES = [("hot", "cold"), ("big", "small"), ("up", "down"), ("day", "night"), ("happy", "sad"), ("fast", "slow"),
             ("old", "new"), ("wet", "dry"), ("open", "closed"), ("full", "empty"), ("light", "dark"),
             ("long", "short"),
             ("loud", "quiet"), ("left", "right"), ("good", "bad"), ("rich", "poor"), ("strong", "weak"),
             ("black", "white"), ("first", "last"), ("early", "late")]
SIZES = ["ant", "bee", "mouse", "frog", "duck", "cat", "dog", "sheep", "horse", "elephant", "whale"]
CAPITALS = {"France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "England": "London",
            "Austria": "Vienna", "Poland": "Warsaw", "Portugal": "Lisbon", "Greece": "Athens", "Japan": "Tokyo",
            "Norway": "Oslo", "Sweden": "Stockholm", "Ireland": "Dublin", "Egypt": "Cairo"}
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December"]
FACTS = [
    ("How many days [are in|does] a week[| have]?", "A week has seven days."),
    ("How many months [are in|does] a year[| have]?", "A year has twelve months."),
    ("How many hours [are in|does] a day[| have]?", "A day has twenty-four hours."),
    ("How many minutes are in an hour?", "An hour has sixty minutes."),
    ("[What|Can you tell me what] do bees make?", "Bees make honey."),
    ("What [does a cow give|do cows give] us?", "A cow gives us milk."),
    ("What is [ice|ice made of]?", "Ice is frozen water."),
    ("When does the sun rise?", "The sun rises in the morning."),
    ("When does the sun set?", "The sun sets in the evening."),
    ("What [can we|do people] see in the sky at night?", "At night we can see the moon and the stars."),
    ("What do [rabbits|horses] eat?", "They eat grass and carrots."),
    ("What do [cats|owls] eat?", "They eat mice."),
    ("What do plants need?", "Plants need water, light and air."),
    ("Which season comes after winter?", "Spring comes after winter."),
    ("Which season comes after summer?", "Autumn comes after summer."),
    ("What is the [biggest|largest] animal?", "The biggest animal is the whale."),
    ("What is the fastest animal on land?", "The fastest animal on land is the cheetah."),
    ("How many legs does a table have?", "A table has four legs."),
    ("What do we use to write?", "We write with a pen or a pencil."),
    ("Where do we buy bread?", "We buy bread at the bakery."),
]
UNKNOWN = ["the stock market", "quantum physics", "the news of today", "football", "politics", "the war", "computers",
           "Python", "a neural network", "the president", "philosophy", "mathematics", "history", "medicine", "the law",
           "chemistry", "my taxes", "a database", "the price of gold", "the internet", "a spaceship", "music", "space",
           "the weather tomorrow", "my phone", "a car engine", "the economy", "a movie", "art", "religion"]
UNKNOWN_FORMS = ["What is {x}?", "Tell me about {x}.", "Can you explain {x}?", "What do you know about {x}?",
                 "Write [an essay|a poem|code] about {x}.", "How does {x} work?", "Why is {x} important?",
                 "Who [invented|discovered] {x}?", "Summarize {x} for me.", "What do you think about {x}?"]
HELP = ["I can tell short stories and answer simple questions.",
        "I can tell you a story about an animal, or answer a simple question."]
WELCOME = ["You are welcome!", "You are welcome! Do you want another story?", "I am glad that you like it."]
HELLO = ["Hello", "Hi", "Hey", "Hello there", "Hi there", "Good morning", "Good evening", "Good afternoon"]


def story_request(pick):
    """Returns a request for a story, and the story."""
    ask = pick.choice(["Tell me a", "Tell me a", "Please tell me a", "Can you tell me a", "Write a", "I want a",
                       "Could you write a", "Give me a", "I would like a"])
    ask += pick.choice(["", "", " short", " little", " nice", " funny"]) + " story"
    name, kind = pick.choice(PEOPLE)
    animal, color, thing, place = map(pick.choice, (ANIMALS, COLORS, THINGS, PLACES))
    forms = [("", {}), (" about {animal_a}", {"animal": animal}), (" about {animal_a}", {"animal": animal}),
             (" with {animal_a}", {"animal": animal}), (" about a {kind}", {"kind": kind}),
             (" about a {kind} [named|called] {name}", {"name": name}), (" about {name}", {"name": name}),
             (" about {name} and {animal_a}", {"name": name, "animal": animal}),
             (" about a {color} {thing}", {"color": color, "thing": thing}),
             (" about a {thing}", {"thing": thing}), (" in the {place}", {"place": place}),
             (" about {animal_a} in the {place}", {"animal": animal, "place": place})]
    form, given = pick.choice(forms)
    shown = {"animal_a": f"a {animal}", "kind": kind, "name": name, "color": color, "thing": thing, "place": place}
    question = expand(pick, ask + form, shown)
    question += "?" if ask.startswith(("Can", "Could")) else "."
    needed = [n for n in ("animal", "thing", "place", "color") if n in given]
    # A word that the request names occurs in the story.
    return question, story(pick, words(pick, **given), plots_with(*needed) or plots_with(needed[0]))


def short_question(pick):
    """Returns a question about animals, colours, numbers, days or countries, and its answer."""
    kind = pick.randrange(13)
    if kind == 0:
        animal, sound = pick.choice(list(SOUNDS.items()))
        return (f"What [does a {animal} say|sound does a {animal} make]?", f"A {animal} says \"{sound}!\"")
    if kind == 1:
        what, color = pick.choice(list(LOOKS.items()))
        return (f"[What|Which] color is {what}?", f"{what[0].upper()}{what[1:]} is {color}.")
    if kind == 2:
        animal, home = pick.choice(list(HOMES.items()))
        return (f"Where does a {animal} live?", f"A {animal} lives {home}.")
    if kind == 3:
        animal, young = pick.choice(list(YOUNG.items()))
        return (f"What is a [young|baby] {animal} called?", f"A young {animal} is called a {young}.")
    if kind == 4:
        animal, legs = pick.choice(list(LEGS.items()))
        return (f"How many legs does a {animal} have?", f"A {animal} has {legs} legs.")
    if kind in (5, 6):
        pair = pick.choice(OPPOSITES)
        a, b = pair if pick.random() < 0.5 else pair[::-1]
        return (f"What is the opposite of {a}?", f"The opposite of {a} is {b}.")
    if kind == 7:
        i, j = pick.sample(range(len(SIZES)), 2)
        a, b, word = SIZES[i], SIZES[j], pick.choice(["bigger", "smaller"])
        right = SIZES[max(i, j) if word == "bigger" else min(i, j)]
        return (f"[Which|What] is {word}, a {a} or a {b}?", f"A {right} is {word} than a {b if right == a else a}.")
    if kind == 8:
        country, city = pick.choice(list(CAPITALS.items()))
        return (f"What is the capital of {country}?", f"The capital of {country} is {city}.")
    if kind == 9:
        names = pick.choice([DAYS, MONTHS])
        i, (word, step) = pick.randrange(len(names)), pick.choice([("after", 1), ("before", -1)])
        return (f"[What|Which] {'day' if names is DAYS else 'month'} comes {word} {names[i]}?",
                f"{names[(i + step) % len(names)]} comes {word} {names[i]}.")
    if kind in (10, 11):
        a, b = pick.randint(0, 10), pick.randint(0, 10)
        if pick.random() < 0.6:
            return (pick.choice([f"What is {a} + {b}?", f"How much is {a} plus {b}?", f"What is {a} plus {b}?"]),
                    f"{a} + {b} is {a + b}.")
        a, b = max(a, b), min(a, b)
        return (pick.choice([f"What is {a} - {b}?", f"What is {a} minus {b}?"]), f"{a} - {b} is {a - b}.")
    return pick.choice(FACTS)


def greeting(pick):
    hello = pick.choice(HELLO)
    answer = hello if hello.startswith("Good") else pick.choice(["Hello", "Hi"])
    turns = [("user", hello + pick.choice(["!", ".", ", how are you?", "! How are you?"]))]
    if turns[0][1].endswith("?"):
        return turns + [("assistant", f"{answer}! I am fine, thank you. [How can I help you?|Do you want a story?]")]
    return turns + [("assistant", f"{answer}! [How can I help you?|What can I do for you?|Do you want a story?]")]


def introduction(pick):
    name = pick.choice(PEOPLE)[0]
    turns = [("user", f"[Hello, |Hi, |Hi! |]My name is {name}."),
             ("assistant", f"[Hello, {name}!|Nice to meet you, {name}!] [How can I help you?|Do you want a story?]")]
    if pick.random() < 0.7:
        turns += [("user", "What is my name?"), ("assistant", f"Your name is {name}.")]
    return turns


def about_itself(pick):
    return [("user", pick.choice(["Who are you?", "What are you?", "What is your name?", "Are you a human?"])),
            ("assistant", "I am a very small language model. " + pick.choice(HELP))] if pick.random() < 0.6 else [
        ("user", pick.choice(["What can you do?", "Can you help me?", "Help", "How can you help me?"])),
        ("assistant", pick.choice(HELP))]


def feeling(pick):
    if pick.random() < 0.3:
        return [("user", pick.choice(["I am happy.", "I feel good today.", "I am glad."])),
                ("assistant", "[That is good to hear!|I am glad to hear that!] Do you want a story?")]
    turns = [("user", f"I [am|feel] {pick.choice(FEELINGS)}."),
             ("assistant", "I am sorry to hear that. [Do you want a story?|Shall I tell you a story?]")]
    if pick.random() < 0.6:
        turns += [("user", "[Yes, please.|Yes.|Yes, tell me a story.]"), ("assistant", story(pick))]
    return turns


def unknown(pick):
    question = pick.choice(UNKNOWN_FORMS).replace("{x}", pick.choice(UNKNOWN))
    return [("user", question),
            ("assistant", "I do not know that. I am a very small model. " + pick.choice(HELP))]


def told(pick):
    question, text = story_request(pick)
    turns = [("user", question), ("assistant", text)]
    after = pick.random()
    if after < 0.15:
        turns += [("user", "[Thank you!|Thanks!|That was nice.|I like it.]"), ("assistant", pick.choice(WELCOME))]
    elif after < 0.3:
        turns += [("user", "[Another one, please.|Tell me another story.|One more!]"), ("assistant", story(pick))]
    return turns


def answered(pick):
    turns = []
    for _ in range(pick.choice([1, 1, 2, 3])):
        question, answer = short_question(pick)
        turns += [("user", question), ("assistant", answer)]
    return turns


def goodbye(pick):
    turns = greeting(pick) if pick.random() < 0.3 else answered(pick)
    if pick.random() < 0.5:
        return turns + [("user", "[Thank you!|Thanks!|Thank you very much.]"), ("assistant", "You are welcome!")]
    return turns + [("user", "[Goodbye!|Bye!|Good night!|See you!]"),
                    ("assistant", "Goodbye! [See you soon.|Take care.]")]


KINDS = [(told, 30), (answered, 30), (greeting, 10), (introduction, 6), (about_itself, 6), (feeling, 6), (unknown, 8),
         (goodbye, 8)]


def casual(pick, text):
    """Returns the text as a hurried user types it: sometimes without capitals or the last punctuation mark."""
    if pick.random() < 0.2:
        text = text.lower()
    return text.rstrip(".!?") if pick.random() < 0.2 else text


def conversation(pick):
    """Returns one conversation of one to four questions and answers."""
    make = pick.choices([k for k, _ in KINDS], [w for _, w in KINDS])[0]
    turns = [(role, expand(pick, text, {})) for role, text in make(pick)]
    turns = [(role, casual(pick, text) if role == "user" else text) for role, text in turns]
    return [("system", pick.choice(SYSTEMS)), *turns] if pick.random() < 0.25 else turns
