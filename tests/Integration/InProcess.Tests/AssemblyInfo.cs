using Xunit.Sdk;

// The gateways of one process share its meters, so only one may run at a time.
[assembly: Xunit.v3.Parallelization(Mode = ParallelMode.None)]
