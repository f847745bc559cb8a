/** Prompts of scenes, none picked by what a model makes of it. */

/** What a sheet shows. */
export const SHOWN: readonly string[] = [
  ...["red apple", "a red car", "a yellow elephant", "a purple cat"],
  ...["three stars", "a cat and a dog", "a rocket above the moon", "a cup left of a cake"],
  ...["a penguin in the snow", "a robot on the beach", "a blue banana", "four pink donuts"],
  ...["two green frogs", "a big red heart on a blue background"],
  ...["a small dog on the grass", "an astronaut in space"],
  ...["a fish underwater", "a castle at sunset", "an owl at night", "a pizza on a wooden table"],
  ...["a red penguin", "a pink frog", "a green pig", "an orange robot"],
  ...["a cat and a rocket", "a penguin and a pineapple", "a fox and a crown"],
  ...["a robot and a banana", "a ufo above a house", "a blue bird and a red flower"],
  ...["a mushroom on an orange and pink gradient", "three red balloons in the sky"],
  ...["sunflower", "dog face", "a guitar", "birthday cake"],
  ...["a burger and fries", "a white rabbit on a purple background"],
  ...["a black cat on a yellow background", "a camel in the desert"],
  ...["a turtle on the beach", "a green dragon", "a bee next to a tulip", "a tree below the sun"],
  ...["two blue cars", "happy face", "a brown bear and a honey", "a snowman at night"],
];

/** Of which several seeds are compared. */
export const SEEDED: readonly string[] = [
  ...["a red car", "a yellow elephant", "three stars", "a cat and a dog"],
  ...["a rocket above the moon", "a penguin in the snow", "a robot on the beach"],
  "a small dog on the grass",
];

/** What is counted, if there is such a sprite. */
export const COUNTED: readonly string[] = [
  ...["star", "apple", "heart", "car", "dog", "fish"],
  ...["ball", "cup", "book", "banana", "donut", "frog"],
];
