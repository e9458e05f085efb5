pub struct Effort; pub struct Peaks; pub fn measure() {}
