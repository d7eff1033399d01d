namespace Sluice.Testing;

/// <summary>How many random cases a test checks: all of them in <c>make test</c>, fewer in <c>make test-fast</c>.</summary>
public static class RandomCases
{
    private const int FastShare = 5;

    /// <summary>Whether <c>make test-fast</c> runs the tests.</summary>
    public static bool AreFew { get; } = Environment.GetEnvironmentVariable("SLUICE_TEST_FAST") is not null;

    /// <summary>Returns the number of cases: the given one, or a fifth of it in <c>make test-fast</c>.</summary>
    public static int Count(int all) => AreFew ? all / FastShare : all;
}
