using Xunit;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace Sluice.Testing;

/// <summary>A fact of a class that may say, by <see cref="RunsWhereAttribute"/>, that it cannot run here; it is then skipped with the reason.
/// For facts that are inherited, where <see cref="FactNeedingAttribute"/> on a method is too early to know.</summary>
[AttributeUsage(AttributeTargets.Method)]
[XunitTestCaseDiscoverer("Sluice.Testing.FactWhereItRunsDiscoverer", "Sluice.Testing")]
public sealed class FactWhereItRunsAttribute : FactAttribute;

/// <summary>Names the type whose static <c>WhyNot</c> says why this class' facts cannot run; null: they can.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class RunsWhereAttribute(Type condition) : Attribute
{
    public Type Condition { get; } = condition;
}

/// <summary>Makes the cases; xunit finds it by name.</summary>
public sealed class FactWhereItRunsDiscoverer(IMessageSink messages) : FactDiscoverer(messages)
{
    protected override IXunitTestCase CreateTestCase(ITestFrameworkDiscoveryOptions discoveryOptions, ITestMethod testMethod, IAttributeInfo factAttribute) =>
        new CaseWhereItRuns(DiagnosticMessageSink, discoveryOptions.MethodDisplayOrDefault(), discoveryOptions.MethodDisplayOptionsOrDefault(), testMethod);
}

/// <summary>One case; it asks its class for a reason to be skipped.</summary>
public sealed class CaseWhereItRuns : XunitTestCase
{
    [Obsolete("for xunit's deserializer")]
    public CaseWhereItRuns()
    {
    }

    public CaseWhereItRuns(IMessageSink messages, TestMethodDisplay display, TestMethodDisplayOptions options, ITestMethod method)
        : base(messages, display, options, method)
    {
    }

    protected override string GetSkipReason(IAttributeInfo factAttribute) =>
        TestMethod.TestClass.Class.GetCustomAttributes(typeof(RunsWhereAttribute)).FirstOrDefault() is { } where
            ? (string?)where.GetNamedArgument<Type>(nameof(RunsWhereAttribute.Condition)).GetProperty("WhyNot")!.GetValue(null) ?? ""
            : base.GetSkipReason(factAttribute);
}
