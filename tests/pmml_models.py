"""A PMML model: a tree over an age, a city and a number of visits."""

from __future__ import annotations

OUTPUT = """
   <Output>
    <OutputField name="predicted_buys" optype="categorical" dataType="string" feature="predictedValue"/>
    <OutputField name="probability_yes" optype="continuous" dataType="double" feature="probability" value="yes"/>
    <OutputField name="hidden" optype="continuous" dataType="double" feature="probability" value="no"
     isFinalResult="false"/>
   </Output>"""

TREE = f"""<?xml version="1.0" encoding="UTF-8"?>
<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">
 <Header><Application name="by hand" version="1"/></Header>
 <DataDictionary numberOfFields="4">
  <DataField name="age" optype="continuous" dataType="double">
   <Interval closure="openClosed" leftMargin="0" rightMargin="150"/>
  </DataField>
  <DataField name="city" optype="categorical" dataType="string"><Value value="oslo"/><Value value="rome"/></DataField>
  <DataField name="visits" optype="continuous" dataType="integer"/>
  <DataField name="buys" optype="categorical" dataType="string"><Value value="no"/><Value value="yes"/></DataField>
 </DataDictionary>
 <TreeModel modelName="buying" functionName="classification" splitCharacteristic="binarySplit">
  <MiningSchema>
   <MiningField name="age" usageType="active"/>
   <MiningField name="city"/>
   <MiningField name="visits" invalidValueTreatment="asIs" missingValueReplacement="0"/>
   <MiningField name="buys" usageType="target"/>
  </MiningSchema>{OUTPUT}
  <Node id="1" score="no">
   <True/>
   <Node id="2" score="no">
    <SimplePredicate field="age" operator="lessOrEqual" value="30"/>
    <ScoreDistribution value="no" recordCount="8"/><ScoreDistribution value="yes" recordCount="2"/>
   </Node>
   <Node id="3" score="yes">
    <SimplePredicate field="age" operator="greaterThan" value="30"/>
    <ScoreDistribution value="no" recordCount="1"/><ScoreDistribution value="yes" recordCount="9"/>
   </Node>
  </Node>
 </TreeModel>
</PMML>
"""
