"""Short stories for small children, from a grammar: text with far more freedom than `logic` has.

The kind of text is that of TinyStories (arXiv 2305.07759); words and program are our own. A story
is a plot of up to a dozen beats. A beat is one of several templates and is filled in from lists of
words. Who and what a story is about, its cast, is drawn once and stays the same.

In a template, `{a|b}` is one of the two, `$name` what the cast has under that name, or else any
word of the list with that name, and `?name` the same or nothing.
"""

import random
import re

from ..project import UserError

FORMAT = 1  # raise when a change here alters the stories of a seed
# What is drawn once for a story; every other list gives a new word each time.
CAST = ("grownup", "look", "toy", "at", "weather", "small", "animal", "fruit", "dish", "fear",
        "job", "part", "plant", "noise", "skill", "gift")  # fmt: skip
KEPT = 0.3  # the share of beats that may be left out and are not
PRONOUNS = {"girl": ("she", "her", "her"), "boy": ("he", "him", "his")}
SLOT = re.compile(r"\{([^{}]*)\}|(\$| ?\?)(\w+)")  # of nested braces the innermost
ARTICLE = re.compile(r"\b([Aa]) (?=[aeiou])")
START = re.compile(r"(?:^|(?<=[.!?] ))\"?[a-z]", re.MULTILINE)

LISTS = """
girl: Amy, Ann, Eve, Ida, Ivy, Jane, Kate, Lily, Lucy, Mia, Mona, Nell, Nina, Rosa, Ruby, Tess
boy: Adam, Ben, Dan, Finn, Hugo, Jack, Jim, Leo, Luke, Max, Noah, Paul, Sam, Ted, Tim, Tom
beast: rabbit, bear, fox, mouse, duck, hedgehog, squirrel, frog, otter, badger, lamb, pig, beaver
grownup: Mom, Dad, Grandma, Grandpa, Aunt May, Aunt Sue, Uncle Joe, Uncle Ray, Miss Hill, Old Brook
worker: baker, farmer, mailman, teacher, gardener, painter, doctor, miller, driver, shepherd,
    sailor, cook, singer, king, queen, tailor, hunter, fisherman
trait: kind, shy, brave, curious, clever, cheerful, quiet, careful, gentle, funny, busy, lively,
    stubborn, dreamy, polite, playful, friendly, patient, silly, happy, hungry, sleepy, messy,
    noisy, lazy, proud, merry, tidy, grumpy, lonely
color: red, blue, green, yellow, white, black, brown, pink, orange, gray
fur: $color, spotted, striped, tiny, fat, small, big, old, young, wet, thin, $trait
look: $color, striped, spotted, tiny, big, little, old, new, pretty, bright, shiny, golden, silver
odd: $color, broken, dirty, rusty, old, tiny, wet, funny, flat, sticky, dusty, bent, heavy, cold
small: small, tiny, little, thin, wet, lost, young, fluffy, muddy, tired, shy, brown, gray, white
toy: ball, kite, drum, doll, boat, truck, train, robot, puppet, whistle, hat, scarf, bucket, flute,
    lantern, bell, basket, cup, book, blanket, teddy bear, top, yo-yo, puzzle, mask, ring
junk: stone, button, feather, leaf, shoe, stick, spoon, sock, shell, acorn, nail, string, bottle,
    cork, key, coin, pen, bone, glove, brush, candle, mitten, nut, pot, fork, rope, wheel
animal: bird, kitten, puppy, duckling, hedgehog, turtle, squirrel, rabbit, frog, lamb, mouse, owl,
    fawn, goat, chick, piglet, bear cub, fox
creature: bird, cat, dog, bee, butterfly, crow, snail, spider, worm, beetle, ladybug, fly, duck,
    frog, goose, hen, lizard, moth, goat, crab, horse, cow, toad, swan, mole, donkey, parrot, ant
creatures: birds, cats, dogs, bees, crows, snails, worms, beetles, ants, ducks, frogs, hens, goats,
    sheep, cows, swans, moths, crabs, owls, horses, spiders, toads, geese, pigs, mice, bats
at: in the park, in the garden, on the beach, in the forest, by the river, by the lake, on the hill,
    in the meadow, on the farm, behind the school, in the yard, near the mill, near the bridge,
    in the orchard, by the pond, near the barn, at the market, in the valley, at the harbor
thing: bush, tree, rock, log, fence, bench, wall, gate, wagon, shed, barrel, ladder, flower pot,
    hedge, stump, well, cart, tent, swing, pump, statue, sign, bin, boat, tower, stove, bridge
near: behind, beside, near, next to, in front of, close to, under
spot: $near {the|a} $thing, $near the {old|big|little|broken|last|$color} $thing, in the $odd mud,
    $near a {$odd|$look} $thing, on the {steps|stones|sand|path}, in the {tall|wet|dry|green} grass,
    in a {puddle|ditch|hollow tree|heap of $stuff|box of $stuff}, between the $thing and the $thing
nook: beside the bed, by the window, on the shelf, under the table, behind the stove, by the door,
    on a chair, in a box, under the stairs, next to the lamp, in the kitchen, in the hall
weather: sunny, windy, cold, warm, cloudy, foggy, frosty, rainy, hot, bright, gray, quiet
season: spring, summer, autumn, winter, week, month, year
daypart: morning, day, afternoon, evening
glad: happy, glad, proud, thankful, cheerful, pleased, merry
sad: sad, upset, worried, gloomy, unhappy, cross, lonely, sorry
saw: saw, met, found, noticed, followed, heard, passed
sat: sat, slept, stood, waited, hid, rested, sang, lay, played
then: just then, soon, later, suddenly, after a while, a little later, at last, the next minute
how: slowly, at last, with a smile, in a $trait voice, and $smiled, and ate $treat,
    and looked at the $thing, and sat down $spot, to a ?fur $creature, with $treat in one hand
very: very, so, quite, really, a little, rather
said: said, said, whispered, called
cried: cried, shouted, called, yelled, gasped
went: went, walked, ran, skipped, hurried, hopped, raced
smiled: smiled, laughed, grinned, giggled, nodded, clapped, danced, blushed
wow: Wow, Hooray, Oh, Look, Yes, Goodness, Yay, Oh my
oh: Oh no, Oh dear, Help, Wait, Stop, Oh, No
please: Please, Quick, Come on, Listen, Hurry
fruit: apple, pear, plum, lemon, carrot, pumpkin, nut, onion, bean, banana, melon, turnip
dish: cake, pie, soup, pudding, stew, salad, pizza, tart
tool: bowl, pot, spoon, pan, jar, cup, plate, basket
treat: an apple, a cookie, some bread, a carrot, some cheese, some nuts, a pear, some jam,
    some warm milk, some honey, a piece of pie, some soup, a plum, a bun, some rice, an egg,
    a $color pancake
hobby: paint $things, sing, dance, swim, climb trees, read books, count the stars, draw $creatures,
    dig holes, tell jokes, build towers, jump over puddles, look at the clouds, chase $creatures,
    bake bread, ride a bike, watch the $creatures, fish, play $game, talk to the $creatures,
    make boats out of $stuff, hunt for $things, paint with $color paint, dress up as $creatures
home: in a {small|tall|old|$color} house by the $water, on the edge of a $size town,
    on top of a $size hill, in a {small|tall|$color} house with a $color door,
    next to a $size $water, behind the {mill|farm|station}, in a $size valley,
    above a {bakery|toy shop|library|post office}, between the $water and the {mill|farm|station}
water: sea, river, lake, stream, pond, canal
size: small, big, quiet, green, wide, busy, sleepy, windy
fear: the dark, deep water, loud thunder, the tall slide, the angry goose, thin ice,
    the high bridge, the steep stairs, the old cellar, the noisy train, the big swing,
    the empty house
job: tree house, sand castle, bird house, snow fort, tower, cart, raft, bridge, puppet stage,
    scarecrow, tent, boat, dam, seesaw
stuff: wood, boxes, sticks, stones, blankets, ropes, boards, leaves, mud, buckets, shells, bricks,
    paper, straw, pillows, branches
things: bells, buttons, stars, flowers, rings, maps, feathers, shells, stones, hats, coins, boats
part: roof, wall, corner, top, side, bottom, middle, back, front
plant: bean, sunflower, pumpkin, apple tree, tulip, carrot, rose bush, tomato, melon, lemon tree
noise: thump, squeak, scratch, tap, rustle, buzz, splash, whistle, howl, creak, crash, hum
game: tag, hide and seek, catch, school, store, pirates, checkers, kings and queens, cards, soccer
number: two, three, four, five, six, seven, eight, nine, ten, twelve, twenty
gift: card, picture, paper star, scarf, mask, little book, clay cup, kite, puppet, paper hat, bag
clothes: hat, scarf, coat, cap, sweater, shirt, vest, cape
shoes: boots, shoes, socks, mittens, gloves
skill: swim, whistle, skate, ride a bike, juggle, tie a bow, jump rope, climb, fly a kite, dive,
    play the drum, row a boat, stand on one leg
"""
# Beats that several plots share. An opening names the friend, so that every beat can.
SHARED = """
open
Once upon a time, there was a $trait $kind {named|called} $hero, who had a friend called $friend.
One $season, a $trait $kind {named|called} $hero and $his ?trait friend $friend lived $home.
$hero was a $trait {little|young} $kind. $he lived $home and loved to $hobby with $friend.
There once was a $trait $kind {named|called} $hero who liked to $hobby with $his friend $friend.
$hero was a $kind who liked to $hobby. $his best friend was $friend, who liked to $hobby.
$hero and $friend were friends. $hero liked to $hobby, and $friend liked to $hobby.
Long ago, a $trait $kind named $hero lived $home with $grownup and a friend called $friend.
Every $daypart, a $trait $kind {named|called} $hero liked to $hobby with $his friend $friend.

detail
The {sun shone|moon shone|wind blew|rain fell} on a ?odd $thing, and a ?fur $creature $sat $spot.
A {cold|warm|soft|strong} wind from the $water moved the ?odd $thing and some ?odd $stuff.
The {air|road|path|wind} smelled of $fruits and of {$stuff|$creatures|fresh bread|smoke|soap}.
It was $weather, and $hero wore a $look $clothes, a $color $clothes and $color $shoes.
$hero $saw a ?fur $creature $spot and {waved at it|said hello|stopped to look|gave it $treat}.
$number ?fur $creatures and a ?fur $creature were $spot, {fast asleep|quite still|making noise}.
$hero found a ?odd $junk $spot and put it into $his ?look $clothes, next to a ?odd $junk.
{Far away|High up|Not far away}, a $trait $worker sang a song about ?fur $creatures and $stuff.
The clouds looked like $creatures, then like a ?odd $junk, and then like a ?look $thing.
A $color wagon full of $stuff and ?fur $creatures went by, and the $worker {waved|$smiled}.
In $his $color {bag|basket|pocket} $hero had $treat, $number $things and a ?odd $junk.
$spot, $number $creatures played $game with a $fur $creature.

chat
$detail
$detail
"I can see $number ?fur $creatures!" $said $friend. "And I see a ?fur $creature," $said $hero ?how.
$friend told a {long|silly|good} story about a $trait $creature, a $worker and a ?odd $junk.
They shared $treat and $treat, and $friend sang a song about a $trait $creature and $things.
"Do you like ?fur $creatures?" asked $friend. "Yes, but I like $creatures {more|too}," said $hero.
$friend had a $color $clothes with $number $color $things on it and a ?odd $junk in the pocket.
"A $worker has $number ?fur $creatures, and they can $hobby!" $said $friend.

end
$hero $smiled and felt $very $glad, like a ?fur $creature with $treat.
"Can we $hobby next $season?" asked $hero, and $grownup $smiled and said yes.
Then $hero and $friend $went home and ate $treat and $treat with $grownup.
$grownup gave them $treat, and they $sat $spot until the {stars|moon|lights} came out.
They $went home, $glad and {tired|hungry|muddy|warm}, and told $grownup about the ?fur $creature.
"You are my best friend, $friend," $said $hero, and they {hugged|danced|sang} $spot.

coda
That night, $hero dreamed of a ?fur $creature, a ?look $thing and $number $things.
{Later|That evening}, $hero drew $friend and a ?fur $creature with a $color pen.
$friend was $very $glad too, and fell asleep $nook with a $fur {cat|dog}.
From then on, $hero and $friend met $spot every $daypart to $hobby.
"{Tomorrow|Next $season}, let us $hobby," $said $friend, and $hero thought of ?fur $creatures.
A ?fur $creature $sat $spot and ate $treat, $very $glad.
"""
# A beat a paragraph, a template a line; a beat that ends with "-" is often left out.
PLOTS = (
    # Something is lost.
    """
$open

One $daypart, $grownup gave $him a $look $toy with $number $color $things on it.
What $hero loved most was a $look $toy. $he took it along when $he wanted to $hobby.
$hero had a $look $toy that the $worker had {made|found|bought} for $him last $season.

One $weather $daypart, $hero $went to $place with $friend and put the $toy $spot.
One $daypart, $hero and $friend played $game $at, and the $toy lay $spot.
-

$chat
-

$then, the $toy was gone! There was only a ?odd $junk $spot.
But $then $hero looked for it $spot, and found only a $odd $junk. "$oh! My $toy!" $cried $hero.

"Do not be $sad. I will look $spot, and you look $spot," $said $friend ?how.
$hero felt $very $sad, but $friend gave $him $treat and said, "We will look $spot."
-

They looked $spot and $spot, but they $saw only a ?fur $creature and a ?odd $junk.
"Have you seen a $look $toy?" $hero asked a $worker. "No, but I saw a $junk $spot."
They asked a $worker, a $trait $worker and even a ?fur $creature. Nobody had seen the $toy.
-

$then, $friend saw something $look $spot. It was the $toy, and a ?fur $creature sat on it!
There was a ?fur $creature $spot, and it had the $look $toy, $number $things and $treat!

"$wow! You are a $trait friend, $friend!" $said $hero and gave $friend $treat.
After that, $hero always kept the $toy $nook when $he wanted to $hobby.
-

$end

$coda
-
""",
    # An animal needs help.
    """
$open

On the way to $place, $hero $saw a $small $animal $spot.
One $weather $daypart, $hero heard a {sad|soft|strange} sound $at. A $small $animal $sat $spot.
One $daypart, $hero and $friend found a $small $animal $spot, next to a ?odd $junk.

$detail
-

It was {cold|hungry|hurt|afraid}, and it looked at $hero and the ?odd $thing with $color eyes.
"$oh, you poor $small $animal! Are you {lost|hungry|hurt|alone}?" $said $hero ?how.
-

"$please, $grownup! There is a $small $animal $spot!" $cried $hero.
"{Go|Run} and get $grownup!" $said $friend, so $hero $went home as fast as a ?fur $creature.
-

$grownup brought a $color blanket, $treat and a $look {box|basket}. "Be gentle," said $grownup.
"It does not want to $hobby. It wants $treat," $said $grownup and got a $color $clothes.
-

They made it a bed of $stuff and $stuff $nook and gave it $treat.
They took the $animal home in a $look {basket|box|bucket|$clothes} and kept it $nook.

For $number days, $hero gave it $treat every $daypart and told it about ?fur $creatures.
The $animal slept in a $color $clothes, ate $treat and was afraid of $creatures.
-

After $number {days|weeks} they took it back to $place, where its mother $sat $spot.
$then, a big ?fur $animal called $spot. "That is its mother!" $said $friend ?how.

"Goodbye, $small $animal! Come next $season, and I will give you $treat!" called $hero.
The $animal looked back at $hero and the $thing once and ran to its mother.
-

$end

$coda
-
""",
    # Something is made in the kitchen.
    """
$open

It was $friend's birthday, and $hero wanted to make a $fruit $dish with $grownup.
"Today we will make a $fruit $dish for $friend," $said $grownup one $weather $daypart.
One $weather $daypart, $hero wanted to make $friend a $fruit $dish as big as a $thing.

They needed $number $fruits, some {flour|butter|milk|sugar|salt} and a $look $tool.
$hero got $number $fruits from the $worker and a $look $tool from $grownup.
-

$detail
-

But $hero thought of ?fur $creatures, and the $tool fell on the ?odd floor. "$oh!" $cried $hero.
$then, a ?fur $creature came in, jumped on a ?look chair and ate $number $fruits!
But $hero put in {salt|mud|soap}, $number spoons of it. It tasted like a ?odd $junk!

$hero had {flour|butter|milk} on $his ?look $clothes and felt $very $sad.
"Now we have no $dish for $friend, only a ?odd $tool," $said $hero, $very $sad.
-

"Never mind," $said $grownup. "Get $number $fruits and a ?odd $tool, and we try again."
"I once put a ?odd $junk into a $dish," laughed $grownup. "Come, we can do it again."

They cut $number $fruits, and $hero counted to $number and stirred with a ?odd spoon.
Soon the house smelled of $fruits. Even a ?fur $creature came to smell, and so did a $worker.
-

When $friend came, the $dish stood $nook. It was {$color|a little $color|as big as a $junk}.
At last it was ready, with $number {candles|nuts|leaves} and a $color {star|heart} on top.

"$wow! This $dish is better than $treat or $treat!" $said $friend ?how.
$friend ate $number pieces, gave one to a ?fur $creature and $smiled.
-

$end

$coda
-
""",
    # Two want the same thing.
    """
$open

One $weather $daypart, $hero and $friend found a $look $toy $spot.
One $daypart, $grownup put a $look $toy $spot for $hero and $friend.

"It is mine! I want to take it to the $thing!" $said $friend. "No, it is mine!" $cried $hero.
$friend wanted to put the $toy $spot, but $hero wanted to put it $spot.
-

$hero pulled, and $friend pulled. Then the $toy fell on a ?odd $junk and {broke|turned $color}!
They {pulled|pushed} and {shouted|yelled}, and {crack|snap|bang}, a ?look $toy lay $spot!

Then $hero $sat $spot, and $friend $sat $spot, and nobody wanted to $hobby.
$friend $went home $very $sad, and $hero $sat $spot, alone with a ?fur $creature.
-

$detail
-

"Why are you so $sad?" asked $grownup. $hero told $grownup about the $toy and the $thing.
$grownup came by with $treat and asked, "Did you leave the $look $toy $spot?"
-

"You can take turns. $friend can $hobby until I count to $number," $said $grownup ?how.
"A $toy is no fun without a $trait friend," $said $grownup. "Give $friend $treat."

"I am sorry, $friend," $said $hero, and gave $friend {the $toy and $treat|$treat and $treat}.
$hero $went to $friend with $treat and the ?odd $toy. "You can have it first," $he $said.

They {washed|mended|painted} the $toy with a ?odd {cloth|string|brush|ribbon} and made it $color.
$friend $smiled. "I am sorry too. We can play $game with a $junk," $said $friend ?how.
-

$end

$coda
-
""",
    # Afraid of something.
    """
$open

$hero could $hobby and $hobby, but $he was $very afraid of $fear.
$hero was as $trait as a $creature, but $he was afraid of $fear.

One $weather $daypart, $friend wanted to $hobby, but $hero thought of $fear and shook.
"Are you coming? We can $hobby," $said $friend. "No, I am afraid of $fear," $said $hero ?how.
-

$chat
-

"When I was small, I was afraid of ?fur $creatures," $said $grownup. "Then I had $treat."
"The $worker is afraid of ?fur $creatures, and $grownup of $creatures!" $said $friend ?how.
$friend did not laugh. "I was afraid of $creatures, but now I like to $hobby," $said $friend ?how.
-

$friend gave $him a $look $toy. "Hold it tight and think of $treat," $said $friend ?how.
$grownup gave $hero a $look $toy. "It will make you as brave as a ?fur $creature."

The next $daypart, $hero took the $toy, thought of $creatures and counted to $number.
$hero held the $toy, closed $his eyes and thought of a ?fur $creature.

First $he took one step, then $number, and then $he sang a song about ?fur $creatures.
$his {legs|knees|hands} shook like a ?odd $junk, and a ?fur $creature looked at $him.
-

"$wow! I am not afraid of $fear, and not of $creatures!" $cried $hero.
And then? There was only a ?fur $creature $spot, and it looked $very $sad.

"You are as brave as a $worker!" $said $friend and gave $him $treat.
$grownup $smiled and put $color paint, like a star, on $his ?look $clothes.
-

$end

$coda
-
""",
    # Something is built and falls down.
    """
$open

One $weather $daypart, $hero and $friend wanted to build a $job $at.
"Let us build a ?look $job and $hobby in it!" $said $friend one $weather $daypart.

They looked for $stuff and $stuff, and $grownup gave them $number $odd {nails|boards|ropes|boxes}.
$hero brought $stuff, and $friend brought ?odd $stuff and a ?odd $junk.
-

$chat
-

$hero {held|made|painted} the $part, and $friend carried $stuff and a ?odd $junk.
Soon it was as {tall|big|wide} as the $thing and as $color as a $fruit.
-

It was almost ready, but $then a {storm|$fur dog|$fur goat} came, and it fell on a ?odd $thing.
But the $part was too {thin|weak|heavy|wet}, and {crash|bang|boom}, the $job lay $spot!

"$oh! Now it is only $stuff and $stuff!" $cried $hero, and kicked a ?odd $junk.
$friend was $very $sad and wanted to go home and $hobby.
-

"The $part needs more $stuff," $said $grownup. "Come, I will give you $treat first."
A ?trait $worker came by. "Use $stuff for the $part and $stuff for the rest."
"I know! We can put $stuff and a ?odd $junk under the $part," $said $friend ?how.

So they began again, with $stuff, $stuff and $number $things.
The second $job was {better|smaller|stronger}, with a $color {flag|flower|$junk} on the $part.
-

Even a ?fur $creature came to sit on it. "$wow! Now we can $hobby here!" $said $hero ?how.
"What a fine $job! Can I sit here with $treat and my ?fur $creature?" asked $grownup.

$end

$coda
-
""",
    # The weather spoils the plan.
    """
$open

$hero and $friend wanted to go to $place and $hobby. They packed $treat and $treat.
"Tomorrow we will go to $place to see ?fur $creatures!" $said $grownup ?how.

But the next $daypart was {dark|gray}, and {rain|snow|hail} fell on the $thing and the $thing.
Then {thunder|a storm} came, and {rain|hail|snow} fell on a ?fur $creature $spot.

"$oh! Now we can not $hobby," $said $hero, and felt $very $sad.
$hero looked out at the ?odd $thing and a ?fur $creature. "It is not fair!" $he $cried.
-

$friend took a $look {box|bag|blanket} from the hall. "Let us {play|make} $place here!"
"You are a ?fur $creature, and I am a ?fur $creature," $said $friend ?how.

They made $creatures out of $stuff, and a $color blanket was the $water.
$hero put $stuff $nook, and $friend put on a $look $clothes and said "{moo|baa|quack}".
They made a tent out of $stuff and $stuff and ate $treat inside it.

$detail
-

Then they played $game, and $friend won $number times and got $treat.
$grownup was a $trait $animal with $color $shoes and had to hide $nook.
-

$then, the sun came out, but $hero did not see it. $he was a ?fur $creature, and $very busy.
After the rain, there was a {rainbow|puddle} $at, and they ran past the $thing to see it.
-

"I like {rain|bad weather}," $said $hero. "It smells of $fruits and ?odd $stuff."
-

$end

$coda
-
""",
    # A race.
    """
$open

"I am faster than a ?fur $creature!" $said $friend. "So am I, and than $creatures," $said $hero.
There was a race $at, and the prize was a $look $toy with $number $things on it.

One $weather $daypart, they met $spot to race to the ?odd $thing.
On the $daypart of the race, $number $creatures and a $worker came, and $grownup brought $treat.
-

$chat
-

"One, two, three, go!" called the $worker, and they raced past the $thing and the ?odd $thing.
They ran past a ?fur $creature and over a ?odd $thing. $hero was first, then $friend.
-

But $then $friend fell over a ?odd $junk. "$oh, my {knee|foot|leg}!" $cried $friend.
But $spot, $friend slipped on a ?odd $fruit and fell on a ?odd $junk.

$hero could see the $thing and the $worker with a $color flag. But what about $friend?
$hero wanted to win and get the $look prize, but now $he felt $very $sad.
-

So $he turned around at the ?odd $thing and gave $friend $treat.
$he stopped and tied a $color cloth and ?odd $stuff around the {knee|foot|leg}.

Then they walked on, side by side, and a ?fur $creature $went past them.
They came in last, after $number $creatures and a $trait $creature, but they came in together.

"A $trait friend is better than a $look $toy and $treat," $said $grownup ?how.
The $worker gave both of them $treat and a $look {ribbon|star|cap}.
-

$end

$coda
-
""",
    # A plant grows.
    """
$open

One $weather $daypart, $grownup gave $hero a $odd seed. "Plant it $spot," $said $grownup ?how.
$hero found $number $odd seeds $spot and showed them to a $worker. "Plant one!"

$hero dug a hole $at with a ?odd {spoon|stick|shell} and put the seed in.
$he put it into a ?look pot $spot and gave it water from a ?odd $tool.

The next $daypart, $hero looked at it, but there was only {mud|a ?fur $creature|a ?odd $junk}.
$hero waited $number days. $he sang to it and told it about ?fur $creatures and $things.
-

"It is {asleep|lazy|a $junk}," $said $friend. "We can $hobby until it wakes up."
"$oh, it wants to be a $junk!" $cried $hero. "Be as patient as a $creature," $said $grownup ?how.
-

$chat
-

Then one $weather $daypart there was a $color leaf with $number $color spots on it.
After $number {days|weeks}, a $color leaf came up. "$wow! It looks like a $creature!"

But a ?fur $creature wanted to eat it, so $friend put $stuff and a ?odd $thing around it.
A strong wind shook it, so $hero tied it to a ?odd {stick|$thing} with a $color string.
-

It grew as tall as a $creature, then as tall as the $thing, then as tall as the $worker!
All $season it grew, and $number $creatures and a ?fur $creature came to live near it.
-

It was a $plant! $hero showed it to $friend, to the $worker and to a ?fur $creature.
"It is a $plant, and we can $hobby under it!" $said $friend, $very $glad.

$end

$coda
-
""",
    # A present without money.
    """
$open

Soon it was $friend's birthday, and $hero wanted to buy a $look $toy.
It was almost $friend's birthday, so $hero $went to the $worker to find a $look $toy.

But $hero had only $number {cents|coins}, $number $things and a ?odd $junk.
"Can you pay with $treat and a ?odd $junk?" asked $hero. "No," $said the $worker.

$hero $sat $spot and felt $very $sad. A ?fur $creature sat {down|there} too.
$detail
-

"You can make something out of $stuff and a ?odd $junk," $said $grownup ?how.
$then, $he had a plan. $he looked for $stuff $spot and for a ?odd $junk $spot.

All $daypart, $hero sat $nook with $stuff and $color paint. Not even a $creature could come in.
It took $number {hours|days}, and $he got {paint|glue|mud} on a $color $clothes and a $thing.
-

At last it was ready: a ?look $gift with $number $color {dots|hearts|$things|$creatures} on it.
And so $he made a $gift, as $color as a $fruit and as $trait as a $creature.

"Happy birthday, $friend! It is not a $look $toy," $said $hero and $smiled.
"I made it with $stuff and $stuff," $said $hero and held out the $gift.
-

"$wow! A $gift! It is better than a $look $toy or $treat!" $cried $friend.
"I will keep it $nook with my ?odd $junk and my $things," $said $friend ?how.

$end

$coda
-
""",
    # A noise in the night.
    """
$open

One ?weather night, $hero heard a noise $nook. It went $noise, $noise, like a ?odd $junk.
$hero and $friend were in bed. Something $nook went $noise, $noise, $noise!

"What is that?" $said $hero. "It may be a {giant|ghost|dragon} with a ?odd $junk!"
$hero held a $look $toy and lay under the $color blanket, as still as a ?fur $creature.
-

$he woke $friend. "$please! It may be a ?fur $creature or a $worker!"
$he called $grownup, who came with a $odd lamp and a $look $clothes.
-

They took a ?odd {lamp|candle|lantern} and a ?odd $tool and $went to look $nook.
On tiptoe they $went past a ?odd {chair|table|box} and a $color $clothes. $noise, it went!

"Who is there?" called $hero. Only the {wind|clock|rain} and a ?fur $creature answered.
There was a $color shadow with $number {legs|ears|arms} and a ?odd $junk! "$oh!" $cried $hero.
-

It was only a $small $animal, and it was playing with a ?odd $junk and $treat!
$then, they saw it: a $small $animal with its head stuck in a ?odd $tool.

"You are no {giant|ghost|dragon} and no $worker!" laughed $hero and gave it $treat.
$hero $smiled and helped it out. The $animal ate $treat and fell asleep $nook.

After that, when $hero heard a $noise, $he thought of the $animal and of $treat.
-

$grownup came, and they all had $treat $nook until $hero fell asleep again.
"Shall we $hobby, now that we are awake?" asked $friend, but $hero was asleep $nook.
Then they went back to bed, and $hero dreamed of ?fur $creatures that liked to $hobby.

$coda
-
""",
    # Something is learned.
    """
$open

The $worker could $skill, and even a ?fur $creature could, but $hero could not.
$hero wanted to learn to $skill, just like $friend and the ?trait $worker.

"Will you show me how to $skill?" $he asked. "Yes, $spot," $said $friend ?how.
"Teach me to $skill, $grownup!" $said $hero, so they $went to $place one $weather $daypart.
-

The first time, $hero fell on a ?odd $junk $spot. A ?fur $creature laughed.
$hero tried it $number times, and every time $he {fell|slipped|stopped} $spot.

$chat
-

"I am as {slow|clumsy} as a ?fur $creature and as $sad as a ?odd $junk!" $cried $hero.
$hero threw a ?odd $junk at the $thing. "I would rather $hobby!" $he $cried.
-

"Try it every $daypart for $number {days|weeks|months}, and eat $treat," $said $grownup ?how.
"Have $treat and try again," $said $friend. "Even ?fur $creatures must learn."

$hero tried it $spot each $daypart, {in rain and in sun|before dinner|with a $creature}.
$he tried it {alone|in secret} $spot, and only a ?fur $creature saw $him.
-

And one $weather $daypart, after $number {days|weeks}, $hero could $skill from $thing to $thing!
Then, $spot, it {worked|happened}. "$wow! I can $skill like a $worker!" $cried $hero.

$friend clapped and threw a $look $clothes over a ?fur $creature.
-

$end

$coda
-
""",
    # Someone is new.
    """
$hero was new $at and did not know anyone but a ?fur $creature and a $worker.
One $season, a $trait $kind called $hero moved from the $water to a {small|$color} house $at.
There was a new $trait $kind $at, who was called $hero and liked to $hobby.

$he wanted to $hobby, but it was no fun to do it with a ?fur $creature.
Every $daypart, $he $sat $spot with a $look $toy and watched the others play $game.
-

$detail
-

One $weather $daypart, a $trait neighbor called $friend came by with a $look {dog|bike|bag}.
$then, a $color ball flew over the ?odd $thing, and after it came $friend, who lived $home.

"Why are you sitting $spot?" asked $friend. $hero looked at $his $color $shoes.
"I have $number ?fur $creatures at home," $said $friend. "Do you have $creatures?"
-

$friend gave $him $treat. "I like to $hobby. What do you like?" asked $friend.
"Do you want to $hobby or to see my ?fur $creature?" asked $friend.

"I like to $hobby," $said $hero. "Good, and then we eat $treat!" $said $friend ?how.
"Yes, please," $said $hero, and put a ?look $junk into $his $color $clothes.
-

So they $went to $place and played $game with a ?odd $junk and $number others.
They built a $job out of $stuff and sat inside it with $treat.
-

$hero ran home. "$grownup, I have a friend who can $hobby!" $he $cried.
$end

$coda
-
""",
    # Too far from home.
    """
$open

One $weather $daypart, $hero $saw a ?fur $creature $at and followed it past the ?odd $thing.
"Stay $near the $thing," $said $grownup. But $hero $saw a ?fur $creature $at.

It $went past the $thing and a ?odd $thing, and $hero $went after it, on and on.
$he looked for it $spot and $spot, and thought of $creatures.
-

When $he looked around, all the {trees|houses|paths} looked $odd. Where was $grownup?
$then, it got dark, and there was only a ?odd $thing. "$oh, I am lost!" $cried $hero.

$detail
-

$hero sat down $spot and felt $very $sad. $he had only $treat and a ?odd $junk.
$he called for $grownup $number times, but only a ?fur $creature answered.
-

A $trait old $animal $sat $spot. "Follow the {path|stream|wall} to the ?odd $thing," it $said.
$then, $he saw a $small $animal $spot. "Will you show me the way to the $thing?" asked $hero.
$then, $he remembered what $grownup had said: look for the $color {light|roof|tower} $at.

$he $went past the $thing, the ?odd $thing and a ?odd $thing.
Step by step $he $went on and sang a song about $number ?fur $creatures.
-

There were $grownup and $friend, $spot, with a $odd lantern and $treat! "$hero!" they $cried.
At last $he saw the $color door, and $grownup came running with $treat and a $color blanket.

"Next time I will stay $near the $thing," $said $hero, and ate $treat and $treat.
$end

$coda
-
""",
)


def documents(count: int, seed: int) -> list[tuple[str, str]]:
    """(group, text) of `count` stories, each a group of its own; a larger count adds to the list.

    Raises UserError for a count below 1.
    """
    if type(count) is not int or count < 1:
        raise UserError(f"count: got {count!r}, allowed is a whole number from 1")
    return [(f"story {i}", _story(random.Random(f"story {seed} {i}"))) for i in range(count)]


def _story(rng) -> str:
    """A plot, a template of each beat, all words, and what English asks of "a" and of capitals."""
    beats = [beat for beat in rng.choice(_BEATS) if beat[-1] != "-" or rng.random() < KEPT]
    templates = [rng.choice([line for line in beat if line != "-"]) for beat in beats]
    text = _fill("\n".join(templates), _cast(rng), rng)
    text = ARTICLE.sub(r"\1n ", text)
    text = START.sub(lambda match: match[0].upper(), text)
    return text.replace("\n", " ")


def _cast(rng) -> dict[str, str]:
    """The words that stay the same in one story. Hero and friend have different names."""
    sex = rng.choice(list(PRONOUNS))
    cast = {name: _fill(f"${name}", {}, rng) for name in CAST}
    cast["place"] = cast["at"].split(" ", 1)[1]
    cast["fruits"] = cast["fruit"] + "s"
    cast["kind"] = rng.choice([sex, sex, rng.choice(WORDS["beast"])])
    cast["hero"] = rng.choice(WORDS[sex])
    others = [name for name in WORDS["girl"] + WORDS["boy"] if name != cast["hero"]]
    cast["friend"] = rng.choice(others)
    return cast | dict(zip(("he", "him", "his"), PRONOUNS[sex], strict=True))


def _fill(text: str, cast: dict[str, str], rng) -> str:
    """Fill in a template until nothing is left to choose."""
    last: dict[str, str] = {}

    def fill(match):
        choices, sign, name = match.groups()
        if choices is not None:
            return rng.choice(choices.split("|"))
        if sign != "$" and rng.random() < 0.5:
            return ""  # and no blank before it
        return sign[:-1] + (cast.get(name) or _draw(name, last, rng))

    filled = True
    while filled:
        text, filled = SLOT.subn(fill, text)
    return text


def _draw(name: str, last: dict[str, str], rng) -> str:
    """A word of a list, but not the one that it gave the last time."""
    word = rng.choice(WORDS[name])
    while word == last.get(name):
        word = rng.choice(WORDS[name])
    last[name] = word
    return word


def _paragraphs(text: str) -> list[list[str]]:
    return [part.splitlines() for part in text.strip().split("\n\n")]


def _lists() -> dict[str, list[str]]:
    lines = LISTS.replace("\n    ", " ").strip().splitlines()
    return {name: words.split(", ") for name, words in (line.split(": ") for line in lines)}


WORDS = _lists() | {name: beats for name, *beats in _paragraphs(SHARED)}
_BEATS = [_paragraphs(plot) for plot in PLOTS]
