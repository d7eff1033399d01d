using Xunit.Sdk;

// Each test runs a whole product with several processes. Two of them at the same time would slow down each other.
[assembly: Xunit.v3.Parallelization(Mode = ParallelMode.None)]
