// Each test is a product of its own, with several processes: two at once would only starve each other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
