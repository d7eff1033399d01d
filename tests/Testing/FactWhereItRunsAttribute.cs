using Xunit;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace Sluice.Testing;

/// <summary>
/// A fact of a class that can declare, with <see cref="RunsWhereAttribute"/>, that it cannot run here; it is then
/// skipped with the reason. It is for inherited facts, because <see cref="FactNeedingAttribute"/> on a method is
/// evaluated before the class is known.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
[XunitTestCaseDiscoverer("Sluice.Testing.FactWhereItRunsDiscoverer", "Sluice.Testing")]
public sealed class FactWhereItRunsAttribute : FactAttribute;

/// <summary>
/// Names the type whose static <c>WhyNot</c> returns why the facts of this class cannot run; null: they can.
/// </summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class RunsWhereAttribute(Type condition) : Attribute
{
    public Type Condition { get; } = condition;
}

/// <summary>Creates the test cases; xunit finds this class by name.</summary>
public sealed class FactWhereItRunsDiscoverer(IMessageSink messages) : FactDiscoverer(messages)
{
    protected override IXunitTestCase CreateTestCase(
        ITestFrameworkDiscoveryOptions discoveryOptions,
        ITestMethod testMethod,
        IAttributeInfo factAttribute) =>
        new CaseWhereItRuns(
            DiagnosticMessageSink,
            discoveryOptions.MethodDisplayOrDefault(),
            discoveryOptions.MethodDisplayOptionsOrDefault(),
            testMethod);
}

/// <summary>One test case; it asks its class for a reason to be skipped.</summary>
public sealed class CaseWhereItRuns : XunitTestCase
{
    [Obsolete("for xunit's deserializer")]
    public CaseWhereItRuns()
    {
    }

    public CaseWhereItRuns(
        IMessageSink messages,
        TestMethodDisplay display,
        TestMethodDisplayOptions options,
        ITestMethod method)
        : base(messages, display, options, method)
    {
    }

    protected override string GetSkipReason(IAttributeInfo factAttribute)
    {
        var where = TestMethod.TestClass.Class.GetCustomAttributes(typeof(RunsWhereAttribute)).FirstOrDefault();
        if (where is null) return base.GetSkipReason(factAttribute);
        var condition = where.GetNamedArgument<Type>(nameof(RunsWhereAttribute.Condition));
        return (string?)condition.GetProperty("WhyNot")!.GetValue(null) ?? "";
    }
}
